"""Aggregate's JSON doors: for survey, and the public documents that phones compare and look up."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field

from services.aggregate.flow import Flow
from services.aggregate.published import Published
from services.kit.http import peer_check
from services.kit.signing import CallVerifier
from services.protocol.manifest import Part, Text
from services.protocol.messages import (
    LedgerReply,
    ManifestUpload,
    Proposal,
    ProposalReply,
    ReceiptLists,
    ReleaseState,
)
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument

# Without credentials: any page may read what is public anyway.
PUBLIC = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}
Prefix = Annotated[str, Path(pattern=r"^[0-9a-f]{1,64}$")]
Company = Annotated[str, Query(max_length=400)]
Year = Annotated[int, Query(ge=2000, le=9999)]


class VoidRequest(Part):
    """Why an operator gives up a cycle."""

    reason: Annotated[Text, Field(min_length=1)]


def internal_routes(flow: Flow, verifier: CallVerifier) -> APIRouter:
    """Return the calls of survey."""
    guard = Depends(peer_check(verifier, "survey"))
    router = APIRouter(prefix="/internal", tags=["internal"], dependencies=[guard])

    @router.post("/cycles", status_code=201)
    def post_cycle(body: Proposal) -> ProposalReply:
        """Reserve the budget of a cycle and hand out its public opening keys."""
        return flow.propose(body)

    @router.put("/cycles/{cycle}/manifest")
    def put_manifest(cycle: str, body: ManifestUpload) -> SignedDocument:
        """Countersign the manifest of a cycle."""
        if body.signed.document.get("cycle") != cycle:
            raise Problem("conflict", "The manifest is that of another cycle.")
        return flow.accept_manifest(cycle, body)

    @router.post("/cycles/{cycle}/release", status_code=202)
    def post_release(cycle: str, response: Response) -> ReleaseState:
        """Start the release of a closed cycle: 202 while it runs, 200 once it is there."""
        state = flow.ask_release(cycle)
        response.status_code = 200 if state.state == "released" else 202
        return state

    @router.get("/cycles/{cycle}")
    def get_cycle(cycle: str) -> ReleaseState:
        """Tell how far the release of a cycle is."""
        return flow.state(cycle)

    @router.post("/cycles/{cycle}/void")
    def post_void(cycle: str, body: VoidRequest) -> ReleaseState:
        """Give up a cycle that was not released; its budget returns."""
        return flow.void(cycle, body.reason)

    @router.get("/ledger")
    def get_ledger(company: Company, year: Year) -> LedgerReply:
        """Tell what a company spent and reserved in a year."""
        return flow.ledger(company, year)

    return router


def public_routes(published: Published) -> APIRouter:
    """Return what phones and readers may fetch without asking anyone."""
    router = APIRouter(prefix="/api", tags=["documents"])

    @router.get("/cycles/{cycle}/manifest")
    def get_manifest(cycle: str, response: Response) -> SignedDocument:
        """Tell what was fixed for this cycle, with both signatures."""
        response.headers.update(PUBLIC)
        return published.manifest(cycle)

    @router.get("/releases/{cycle}")
    def get_release(cycle: str) -> SignedDocument:
        """Tell all that was ever published about this cycle's answers, signed."""
        return published.release(cycle)

    @router.get("/cycles/{cycle}/receipts")
    def get_receipts(cycle: str, response: Response) -> ReceiptLists:
        """Tell what became of every sheet, or by how many hex digits to ask where lists are long."""
        response.headers.update(PUBLIC)
        return published.receipts(cycle, "")

    @router.get("/cycles/{cycle}/receipts/{prefix}")
    def get_receipt_bucket(cycle: str, prefix: Prefix, response: Response) -> ReceiptLists:
        """Tell what became of the sheets whose hash begins with these digits."""
        response.headers.update(PUBLIC)
        return published.receipts(cycle, prefix)

    return router
