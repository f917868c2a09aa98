"""Survey's JSON doors: for phones, for HR, and for aggregate."""

import asyncio
import hmac
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from services.kit.http import peer_check
from services.kit.signing import CallVerifier
from services.protocol.manifest import Part
from services.protocol.messages import (
    ReceiptReply,
    ReceiptState,
    ReleaseState,
    SessionReply,
    SessionRequest,
    TokenReply,
    TokenRequest,
)
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument
from services.survey.closing import ClosingFlow
from services.survey.core.csvfile import InputError
from services.survey.core.draft import Draft, Options
from services.survey.flow import PhoneFlow
from services.survey.opening import File, OpeningFlow
from services.survey.slot import take
from services.survey.store import Store

PUBLIC = {"access-control-allow-origin": "*", "cross-origin-resource-policy": "cross-origin"}
MAX_FILE_BYTES = 64 << 20


class DraftReply(Part):
    """A stored draft."""

    cycle: str
    draft: Draft


class LinkReply(Part):
    """One personal link."""

    employee_id: str
    email: str
    link: str


class OpenReply(Part):
    """An opened cycle: the fingerprint that goes into every invitation, and the links."""

    fingerprint: str
    links: tuple[LinkReply, ...]


class StateReply(Part):
    """Where a cycle stands, with counts that never show a single answer."""

    state: str
    live: dict[str, int | None]


def phone_routes(flow: PhoneFlow) -> APIRouter:
    """Return the calls of a rep's phone."""
    router = APIRouter(prefix="/api/cycles/{cycle}", tags=["phone"])

    @router.get("/manifest")
    def manifest(cycle: str, response: Response) -> SignedDocument:
        """Tell what was fixed for this cycle, with both signatures."""
        response.headers.update(PUBLIC)
        return flow.manifest(cycle)

    @router.post("/session")
    def session(cycle: str, body: SessionRequest) -> SessionReply:
        """Hand an invited phone the public values it may seal in."""
        return flow.session(cycle, body.code)

    @router.post("/tokens")
    def tokens(cycle: str, body: TokenRequest) -> TokenReply:
        """Sign blinded messages: once per rep, the same answer for the same bytes."""
        return flow.tokens(cycle, body)

    @router.post("/envelopes", status_code=201, response_model=ReceiptReply)
    async def envelopes(cycle: str, request: Request) -> Response:
        """Take one sealed sheet; the answer is a receipt, given after the sheet is safe.

        The app has a slot for it ahead of this router: see ``services/survey/slot.py``.
        """
        return await take(flow, cycle, request.receive)

    @router.get("/receipts/{envelope_hash}")
    def receipt(cycle: str, envelope_hash: str, response: Response) -> ReceiptState:
        """Say whether the envelope with this full hash is in the box."""
        response.headers.update(PUBLIC)
        return flow.receipt(cycle, envelope_hash)

    return router


def hr_routes(opening: OpeningFlow, closing: ClosingFlow, key: str) -> APIRouter:
    """Return HR's calls; they need the key that ``init`` wrote, until accounts exist."""

    def hr_only(authorization: Annotated[str, Header()] = "") -> None:
        if not hmac.compare_digest(authorization.encode(), f"Bearer {key}".encode()):
            raise Problem("unauthorized")

    router = APIRouter(prefix="/hr", tags=["hr"], dependencies=[Depends(hr_only)])

    @router.post("/cycles", status_code=201, max_body_size=2 * MAX_FILE_BYTES)
    async def draft(request: Request) -> DraftReply:
        """Check roster and results whole, and draft a cycle."""
        roster, results, options = await _read_form(request)
        try:
            cycle, made = await asyncio.to_thread(opening.draft, roster, results, options)
        except InputError as error:
            raise Problem("input", str(error)) from None
        return DraftReply(cycle=cycle, draft=made)

    @router.post("/cycles/{cycle}/open")
    def open_cycle(cycle: str) -> OpenReply:
        """Open a cycle and hand out the personal links; new ones if it is open and nobody has taken part."""
        opened = opening.open(cycle)
        links = tuple(LinkReply(**vars(link)) for link in opened.links)
        return OpenReply(fingerprint=opened.fingerprint, links=links)

    @router.post("/cycles/{cycle}/close")
    async def close(cycle: str) -> StateReply:
        """Close a cycle for good."""
        await closing.close(cycle)
        return StateReply(state=closing.state(cycle), live={})

    @router.post("/cycles/{cycle}/release", status_code=202)
    def release(cycle: str) -> ReleaseState:
        """Have a closed cycle released."""
        return closing.release(cycle)

    @router.get("/cycles/{cycle}/release")
    def release_state(cycle: str) -> ReleaseState:
        """Say how far the release is."""
        return closing.release_state(cycle)

    @router.get("/cycles/{cycle}")
    def state(cycle: str) -> StateReply:
        """Say where a cycle stands."""
        return StateReply(state=closing.state(cycle), live=closing.live(cycle))

    return router


def internal_routes(flow: ClosingFlow, store: Store, verifier: CallVerifier) -> APIRouter:
    """Return what aggregate may fetch at the close."""
    guard = Depends(peer_check(verifier, "aggregate"))
    router = APIRouter(prefix="/internal/cycles/{cycle}", tags=["internal"], dependencies=[guard])

    @router.get("/frame")
    def frame(cycle: str) -> SignedDocument:
        """Hand over the signed frame of a closed cycle."""
        return flow.frame(cycle)

    @router.get("/box", response_class=StreamingResponse)
    def box(cycle: str, sheet: str) -> StreamingResponse:
        """Stream the sealed sheets of one kind, in nonce order."""
        flow.frame(cycle)
        envelopes: Iterator[bytes] = store.box(cycle, sheet)
        return StreamingResponse(envelopes, media_type="application/octet-stream")

    return router


async def _read_form(request: Request) -> tuple[File, File, Options]:
    """Read the two files and the options, in memory: a roster leaves no trace in a temporary folder."""
    parser = MultiPartParser(request.headers, request.stream(), max_files=2, max_fields=1)
    parser.spool_max_size = 2 * MAX_FILE_BYTES
    refusal = Problem("malformed", "The form needs roster, results and options.")
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError):
        raise refusal from None
    try:
        roster, results = await _file(form["roster"]), await _file(form["results"])
        return roster, results, Options.model_validate_json(str(form["options"]))
    except ValidationError:
        raise Problem("input", "The options of the cycle do not have the expected form.") from None
    except (KeyError, ValueError):
        raise refusal from None
    finally:
        await form.close()


async def _file(upload: UploadFile | str) -> File:
    if isinstance(upload, str):
        raise ValueError("a file is needed")
    name = (upload.filename or "file").replace("\\", "/").rsplit("/", 1)[-1]
    return File(name=name[:80], data=await upload.read())
