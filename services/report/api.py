"""Report's JSON doors: for its two peers, and the signed documents for everybody who may read."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from services.kit.http import peer_check
from services.kit.signing import CallVerifier
from services.protocol.manifest import Part
from services.protocol.messages import ChainReply
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument
from services.report.flow import Flow

PUBLIC = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}


class Accepted(Part):
    """The hash of a document that report holds now."""

    hash: str


def internal_routes(flow: Flow, verifier: CallVerifier) -> APIRouter:
    """Return the calls of survey and aggregate."""
    router = APIRouter(prefix="/internal", tags=["internal"])

    # From aggregate after a restore; whoever brings it, both signatures are checked.
    peers = Depends(peer_check(verifier, "survey", "aggregate"))

    @router.put("/cycles/{cycle}/manifest", dependencies=[peers])
    def put_manifest(cycle: str, body: SignedDocument) -> Accepted:
        """Keep the manifest of a cycle; the same one again gets the same answer."""
        if body.document.get("cycle") != cycle:
            raise Problem("malformed", "The manifest is that of another cycle.")
        return Accepted(hash=flow.accept_manifest(body))

    @router.post("/releases", status_code=201, dependencies=[Depends(peer_check(verifier, "aggregate"))])
    def post_release(body: SignedDocument, response: Response) -> Accepted:
        """Keep a release: 201 if it is new, 200 if it was here already."""
        digest, new = flow.accept_release(body)
        response.status_code = 201 if new else 200
        return Accepted(hash=digest)

    @router.get("/chain", dependencies=[Depends(peer_check(verifier, "aggregate"))])
    def get_chain(company: Annotated[str, Query(max_length=400)]) -> ChainReply:
        """Tell the hash of a company's newest release and how many there are."""
        return flow.chain(company)

    return router


def public_routes(flow: Flow) -> APIRouter:
    """Return the signed documents: the manifest for phones, the release for readers of the report."""
    router = APIRouter(tags=["documents"])

    @router.get("/api/cycles/{cycle}/manifest")
    def get_manifest(cycle: str, response: Response) -> SignedDocument:
        """Tell what was fixed for this cycle, with both signatures."""
        response.headers.update(PUBLIC)
        return flow.manifest_document(cycle)

    @router.get("/reports/{cycle}/release.json")
    def get_release(cycle: str, response: Response) -> SignedDocument:
        """Tell all that was ever published about this cycle, with aggregate's signature."""
        response.headers["content-disposition"] = f'attachment; filename="{flow.manifest(cycle).cycle}.json"'
        return flow.release_document(cycle)

    return router
