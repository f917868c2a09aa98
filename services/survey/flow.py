"""What a rep's phone may ask of survey: values, passes, acceptance of sealed sheets, receipts."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from services.kit.clock import Clock
from services.kit.keys import Identity
from services.protocol import commitments, envelope, receipts, token
from services.protocol.encoding import InvalidEncoding, b64, sha256, unb64
from services.protocol.manifest import Manifest, instant
from services.protocol.messages import (
    ReceiptReply,
    ReceiptState,
    SessionReply,
    TokenReply,
    TokenRequest,
    ValueOpening,
)
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument
from services.survey.core.cycle import State
from services.survey.core.draft import Values, commit_sheet
from services.survey.core.issuer import InvalidBlindedMessage, IssuerKey
from services.survey.inbox import Arrival, Inbox
from services.survey.tables import Cycle, Member

RESTORED = (
    "Survey was restored from a backup, so it can't tell who has passes and gives out none any more. "
    "Sheets that have theirs can still be sent."
)


class PhoneStore(Protocol):
    """What this flow needs of the store."""

    def cycle(self, cycle_id: str) -> Cycle | None:
        """Return a cycle."""

    def member_of(self, cycle_id: str, code_hash: bytes) -> Member | None:
        """Return whom a code invites."""

    def secrets(self, cycle_id: str) -> dict[tuple[str, int], bytes]:
        """Return the value secrets of a cycle."""

    def pass_of(self, cycle_id: str, number: int) -> bytes | None:
        """Return the hash with which a rep took the passes."""

    def take_pass(self, cycle_id: str, number: int, blinded_hash: bytes) -> bytes | None:
        """Record that a rep takes the passes."""

    def has_envelope(self, cycle_id: str, envelope_hash: bytes) -> bool:
        """Return whether an envelope is in the box."""


@dataclass(frozen=True)
class OpenCycle:
    """A cycle as the phone's calls need it: read once when it opens, then kept in memory."""

    signed: SignedDocument
    manifest: Manifest
    manifest_hash: bytes
    issuers: Mapping[str, IssuerKey]
    verifiers: Mapping[bytes, tuple[str, token.Verifier]]
    secrets: Mapping[tuple[str, int], bytes]
    committed: Mapping[str, tuple[bytes, ...]]
    opens: datetime
    closes: datetime
    envelope_length: int
    restored: bool = False


class PhoneFlow:
    """The calls of a phone."""

    def __init__(
        self,
        store: PhoneStore,
        inbox: Inbox,
        identity: Identity,
        clock: Clock,
        load_issuers: Callable[[str, tuple[str, ...]], dict[str, IssuerKey]],
    ) -> None:
        self._store, self._inbox, self._identity, self._clock = store, inbox, identity, clock
        self._load_issuers = load_issuers
        self._opened: dict[str, OpenCycle] = {}
        self._loading = threading.Lock()

    def manifest(self, cycle_id: str) -> SignedDocument:
        """Return the signed manifest of a cycle that was opened."""
        cycle = self._store.cycle(cycle_id)
        if cycle is None or cycle.manifest is None or cycle.state == State.DRAFT:
            raise Problem("not-found")
        return SignedDocument.model_validate_json(cycle.manifest)

    def session(self, cycle_id: str, code: str) -> SessionReply:
        """Return the values and secrets that the phone of an invited rep may seal in."""
        cycle, member = self._invited(cycle_id, code)
        values = Values(member.group, member.attainment, member.activity, member.hit)
        openings = {
            spec.name: self._opening(cycle, spec.name, values.of(spec.context))
            for spec in cycle.manifest.sheets
        }
        return SessionReply(openings=openings)

    def tokens(self, cycle_id: str, request: TokenRequest) -> TokenReply:
        """Sign the blinded messages of a rep, once; the same bytes get the same answer again."""
        cycle, member = self._invited(cycle_id, request.code)
        sheets = cycle.manifest.plan.sheets
        if set(request.blinded) != set(sheets):
            raise Problem("malformed", "One blinded message per sheet is needed.")
        refusal = Problem("malformed", "A blinded message has the wrong length or range.")
        try:
            blinded = {sheet: unb64(request.blinded[sheet], length=token.MODULUS_BYTES) for sheet in sheets}
        except InvalidEncoding:
            raise refusal from None
        if cycle.restored:
            raise Problem("cycle-state", RESTORED)
        digest = sha256(*(blinded[sheet] for sheet in sheets))
        # Signing is the costly part: a used pass is turned away before it.
        if self._store.pass_of(cycle_id, member.number) not in (None, digest):
            raise Problem("pass-used")
        try:
            # Signed before the pass is recorded, so that a refused message doesn't use it up.
            signatures = {sheet: cycle.issuers[sheet].blind_sign(blinded[sheet]) for sheet in sheets}
        except InvalidBlindedMessage:
            raise refusal from None
        recorded = self._store.take_pass(cycle_id, member.number, digest)
        if recorded is None:
            # Ended by an operator, in another process: its keys and secrets have no use here any more.
            self.forget(cycle_id)
            raise Problem("link")
        if recorded != digest:
            raise Problem("pass-used")
        return TokenReply(signatures={sheet: b64(signature) for sheet, signature in signatures.items()})

    async def accept(self, cycle_id: str, data: bytes) -> ReceiptReply:
        """Check a sealed sheet's envelope, store it durably and return the signed receipt."""
        known = cycle_id in self._opened
        cycle = self._open_cycle(cycle_id) if known else await asyncio.to_thread(self._open_cycle, cycle_id)
        arrival = check_envelope(cycle, data)
        outcome = await self._inbox.put(arrival)
        if outcome not in ("stored", "again"):
            raise Problem(
                {"stale": "envelope-stale", "conflict": "envelope-conflict"}.get(outcome, "cycle-state")
            )
        return ReceiptReply(
            hash=arrival.envelope_hash.hex(), signature=self._identity.sign("receipt", arrival.envelope_hash)
        )

    def receipt(self, cycle_id: str, envelope_hash: str) -> ReceiptState:
        """Say whether an envelope with this full hash is in the box now."""
        try:
            digest = bytes.fromhex(envelope_hash)
        except ValueError:
            raise Problem("malformed") from None
        if len(digest) != 32:
            raise Problem("malformed")
        self.manifest(cycle_id)
        return ReceiptState(stored=self._store.has_envelope(cycle_id, digest))

    def forget(self, cycle_id: str) -> None:
        """Drop a cycle from memory when it closes."""
        self._opened.pop(cycle_id, None)

    def _invited(self, cycle_id: str, code: str) -> tuple[OpenCycle, Member]:
        try:
            cycle = self._open_cycle(cycle_id)
        except Problem:
            # One text whatever the cause, so that a link can't be probed.
            raise Problem("link") from None
        member = self._store.member_of(cycle_id, code_hash(cycle_id, code))
        if member is None:
            raise Problem("link")
        return cycle, member

    def _open_cycle(self, cycle_id: str) -> OpenCycle:
        cycle = self._opened.get(cycle_id)
        if cycle is None:
            # Reading the keys takes a while: of many phones that come at once, one does it.
            with self._loading:
                cycle = self._opened.get(cycle_id) or self._load(cycle_id)
        now = self._clock()
        if now < cycle.opens:
            raise Problem("cycle-state", "The survey is not open yet.")
        if now >= cycle.closes:
            raise Problem("cycle-state", "The survey is closed.")
        return cycle

    def _load(self, cycle_id: str) -> OpenCycle:
        row = self._store.cycle(cycle_id)
        if row is None or row.manifest is None or row.state == State.DRAFT:
            raise Problem("not-found")
        if row.state != State.OPEN:
            raise Problem("cycle-state", "The survey is closed.")
        signed = SignedDocument.model_validate_json(row.manifest)
        manifest = Manifest.model_validate(signed.document)
        issuers = {} if row.restored else self._load_issuers(cycle_id, manifest.plan.sheets)
        opened = open_cycle(signed, manifest, issuers, self._store.secrets(cycle_id))
        opened = replace(opened, restored=row.restored)
        self._opened[cycle_id] = opened
        return opened

    def _opening(self, cycle: OpenCycle, sheet: str, value: int | None) -> ValueOpening | None:
        if value is None:
            return None
        spec = cycle.manifest.sheet(sheet)
        path = None
        if spec.commitments is None:
            proof = commitments.merkle_path(cycle.committed[sheet], spec.values.index(value))
            path = tuple(b64(step) for step in proof)
        return ValueOpening(value=value, secret=b64(cycle.secrets[sheet, value]), path=path)


def open_cycle(
    signed: SignedDocument,
    manifest: Manifest,
    issuers: Mapping[str, IssuerKey],
    secrets: Mapping[tuple[str, int], bytes],
) -> OpenCycle:
    """Return what the phone's calls need of an open cycle."""
    manifest_hash = manifest.hash()
    return OpenCycle(
        signed=signed,
        manifest=manifest,
        manifest_hash=manifest_hash,
        issuers=issuers,
        verifiers={
            token.key_id(spec.spki): (
                spec.name,
                token.Verifier(spki=spec.spki, challenge=token.challenge(manifest_hash, spec.name)),
            )
            for spec in manifest.sheets
        },
        secrets=secrets,
        committed={
            spec.name: commit_sheet(
                spec.name, spec.values, {value: secrets[spec.name, value] for value in spec.values}
            )
            for spec in manifest.sheets
            if spec.commitments is None
        },
        opens=instant(manifest.opens),
        closes=instant(manifest.closes),
        envelope_length=manifest.envelope_length,
    )


def check_envelope(cycle: OpenCycle, data: bytes) -> Arrival:
    """Return a checked envelope on its way into the box, or raise the problem that names what is wrong."""
    try:
        parsed = envelope.parse(data, length=cycle.envelope_length, suite=cycle.manifest.suite)
        key_id = token.parse(parsed.token).key_id
    except (envelope.InvalidEnvelope, token.InvalidToken):
        raise Problem("envelope-format") from None
    known = cycle.verifiers.get(key_id)
    if known is None:
        raise Problem("envelope-token")
    sheet, verifier = known
    try:
        nonce = verifier.verify(parsed.token)
        envelope.verify(parsed, token_nonce=nonce)
    except token.InvalidToken:
        raise Problem("envelope-token") from None
    except envelope.InvalidEnvelopeSignature:
        raise Problem("envelope-signature") from None
    return Arrival(
        cycle=cycle.manifest.cycle,
        sheet=sheet,
        nonce=nonce,
        counter=parsed.counter,
        envelope_hash=receipts.receipt_hash(data),
        envelope=data,
    )


def code_hash(cycle_id: str, code: str) -> bytes:
    """Return what is stored of a link code (128 random bits, so a plain hash hides it)."""
    return sha256(b"fairpatch code v1", cycle_id.encode("utf-8"), b"\x00", code.encode("utf-8"))
