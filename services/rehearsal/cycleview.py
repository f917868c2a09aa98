"""What a phone checks before a rep's answer is touched: one manifest, two signatures, certified values."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from services.protocol import commitments, manifest, messages, signed, token
from services.protocol.encoding import b64, canonical, unb64
from services.protocol.problems import KINDS
from services.protocol.sheet import Sheet
from services.rehearsal import blinding

PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Waits before the repeats of a call; each is stretched by up to a half, so phones don't march in step."""

Reply = TypeVar("Reply", bound=BaseModel)
Sleep = Callable[[float], Awaitable[Any]]


class Refused(Exception):
    """The phone does not accept what a service sent, and stopped."""


class Declined(Exception):
    """A service answered with a problem; ``kind`` is its name, ``status`` its HTTP status."""

    def __init__(self, kind: str, status: int) -> None:
        super().__init__(KINDS[kind].title if kind in KINDS else "The service did not accept the call.")
        self.kind = kind
        self.status = status


class Unreachable(Exception):
    """No reply after all repeats; the same step may be taken again and sends the same bytes."""


@dataclass(frozen=True)
class PinnedKeys:
    """The raw Ed25519 public keys of the two services, known before anything is fetched."""

    survey: bytes
    aggregate: bytes


@dataclass(frozen=True)
class Issuer:
    """What a phone needs to get and use the token of one sheet."""

    spki: bytes
    public_key: blinding.PublicKey
    challenge: bytes
    opening_key: bytes


@dataclass(frozen=True)
class CycleView:
    """A checked manifest with what follows from it; many phones may share one."""

    survey: str
    aggregate: str
    manifest: manifest.Manifest
    manifest_hash: bytes
    survey_key: bytes
    aggregate_key: bytes
    issuers: Mapping[str, Issuer]

    def address(self, call: str) -> str:
        """Return the address of a call of this cycle at survey."""
        return f"{self.survey}/api/cycles/{self.manifest.cycle}/{call}"


class Line:
    """Calls without cookies or credentials, repeated with growing pauses while nobody answers."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        pauses_seconds: Sequence[float] = PAUSES_SECONDS,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._client = client
        self._pauses_seconds = pauses_seconds
        self._sleep = sleep

    async def call(self, method: str, address: str, body: bytes = b"", media_type: str = "") -> bytes:
        """Return the body of a 200 or 201; the same bytes go out on every repeat."""
        for pause_seconds in (*self._pauses_seconds, None):
            response = await self._try(method, address, body, media_type)
            if response is not None and response.status_code != KINDS["busy"].status:
                if response.status_code not in (200, 201):
                    raise Declined(problem_kind(response), response.status_code)
                return response.content
            if pause_seconds is not None:
                await self._sleep(pause_seconds * (1 + secrets.randbelow(500) / 1000))
        raise Unreachable("no reply; what was prepared is kept and can be sent again")

    async def _try(self, method: str, address: str, body: bytes, media_type: str) -> httpx.Response | None:
        headers = {"content-type": media_type} if media_type else {}
        request = self._client.build_request(method, address, content=body or None, headers=headers)
        for name in ("cookie", "authorization"):
            request.headers.pop(name, None)
        try:
            return await self._client.send(request, auth=None, follow_redirects=False)
        except httpx.TransportError:
            return None


async def fetch_manifest(
    line: Line, *, survey: str, aggregate: str, cycle: str, pinned: PinnedKeys, fingerprint: str = ""
) -> CycleView:
    """Fetch the manifest from both services and check that it is one and the same, signed by both.

    ``fingerprint`` is the eight hex digits printed in the invitation, where the rep has them.
    """
    path = f"/api/cycles/{cycle}/manifest"
    bodies = await asyncio.gather(*(line.call("GET", base + path) for base in (survey, aggregate)))
    texts = [checked_manifest(body, pinned) for body in bodies]
    if texts[0] != texts[1]:
        raise Refused("The two services show different manifests. Nothing was sent.")
    try:
        checked = manifest.parse(read(signed.SignedDocument, bodies[0]).document)
    except manifest.InvalidManifest as error:
        raise Refused("The manifest breaks its own rules. Nothing was sent.") from error
    if checked.cycle != cycle or checked.mode != "sealed":
        raise Refused("The manifest is not one this phone can use. Nothing was sent.")
    if fingerprint and checked.fingerprint() != fingerprint.lower():
        raise Refused("The manifest is not the one in the invitation. Nothing was sent.")
    return CycleView(
        survey, aggregate, checked, checked.hash(), pinned.survey, pinned.aggregate, make_issuers(checked)
    )


def checked_manifest(body: bytes, pinned: PinnedKeys) -> bytes:
    """Return the canonical bytes of a served manifest that both services signed."""
    document = read(signed.SignedDocument, body)
    try:
        signers: dict[signed.Service, bytes] = {"survey": pinned.survey, "aggregate": pinned.aggregate}
        signed.check_document(document, "manifest", signers)
        return canonical(document.document)
    except ValueError as error:
        raise Refused("The manifest is not signed by both services. Nothing was sent.") from error


def make_issuers(checked: manifest.Manifest) -> dict[str, Issuer]:
    """Return the issuer of every sheet in a checked manifest."""
    issuers, manifest_hash = {}, checked.hash()
    for spec in checked.sheets:
        numbers = token.decode_key(spec.spki).public_numbers()
        issuers[spec.name] = Issuer(
            spki=spec.spki,
            public_key=blinding.PublicKey(numbers.n, numbers.e),
            challenge=token.challenge(manifest_hash, spec.name),
            opening_key=unb64(spec.opening_key),
        )
    return issuers


def check_openings(checked: manifest.Manifest, reply: messages.SessionReply) -> dict[str, Sheet | None]:
    """Return an empty sheet for each value handed out, after checking that none is wrong or withheld.

    A sheet without a value is sent blank, so survey could silence a rep by handing out nothing. A value may
    be missing only where the manifest says that some invited have none, and then on all sheets of a record.
    """
    if set(reply.openings) != {spec.name for spec in checked.sheets}:
        raise Refused("Survey did not send one value per sheet. Nothing was sent.")
    values: dict[str, int | None] = {}
    for spec in checked.sheets:
        opening = reply.openings[spec.name]
        value = None if opening is None else opening.value
        if value is None and sum(spec.invited) == checked.invited:
            raise Refused("Survey withheld a value that everybody has. Nothing was sent.")
        if values.setdefault(spec.context, value) != value:
            raise Refused("Survey sent two values of one record. Nothing was sent.")
    if len({values[context] is None for context in manifest.RECORDS_OF_ALL if context in values}) > 1:
        raise Refused("Survey withheld a value that everybody with results has. Nothing was sent.")
    openings = {spec.name: (spec, reply.openings[spec.name]) for spec in checked.sheets}
    return {
        name: None if opening is None else check_opening(spec, opening)
        for name, (spec, opening) in openings.items()
    }


def check_opening(spec: manifest.SheetSpec, opening: messages.ValueOpening) -> Sheet:
    """Return an empty sheet with this value and secret, or refuse a value that is not certified."""
    try:
        index = spec.values.index(opening.value)
        value = commitments.encode_value(opening.value)
        secret = unb64(opening.secret, length=commitments.SECRET_BYTES)
        commitment = commitments.commit(spec.name, value, secret)
        if spec.commitment_root is not None:
            path = [unb64(step, length=32) for step in opening.path or ()]
            root = unb64(spec.commitment_root)
            commitments.verify_path(commitment, index, len(spec.values), path, root)
        elif spec.commitments is None or b64(commitment) != spec.commitments[index]:
            raise commitments.InvalidCommitment("not the commitment of this value")
    except (ValueError, OverflowError) as error:
        raise Refused("A value is not one the manifest certifies. Nothing was sent.") from error
    return Sheet((), value, secret)


def read(form: type[Reply], body: bytes) -> Reply:
    """Return a reply of the expected form, or refuse it."""
    try:
        return form.model_validate_json(body)
    except ValidationError:
        # "from None": the cause would repeat the reply.
        raise Refused("A reply does not have the expected form.") from None


def problem_kind(response: httpx.Response) -> str:
    """Return the name of the problem in a reply, or ``unknown``."""
    try:
        kind = str(response.json()["type"]).removeprefix("urn:fairpatch:problem:")
    except (ValueError, KeyError, TypeError):
        return "unknown"
    return kind if kind in KINDS else "unknown"
