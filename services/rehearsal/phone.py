"""A phone in Python: what a rep's browser does, step by step, through HTTP only.

It is the reference for the page's JavaScript. It trusts two pinned public keys and nothing else: every
reply is checked before the next step, and a phone that sees something odd stops (``Refused``).
"""

import dataclasses
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import BaseModel, ValidationError

from services.protocol import envelope, messages, scoring, signed, token
from services.protocol.encoding import InvalidEncoding, b64, unb64
from services.protocol.plan import CATALOGUE
from services.protocol.receipts import Outcome, receipt_hash
from services.protocol.release import Release
from services.protocol.sheet import Sheet, blank, encode
from services.rehearsal import blinding
from services.rehearsal.counted import fetch_outcomes, fetch_release
from services.rehearsal.cycleview import (
    CycleView,
    Declined,
    Issuer,
    Line,
    PinnedKeys,
    Refused,
    Unreachable,
    check_openings,
    fetch_manifest,
    read,
)

__all__ = [
    "CycleView",
    "Declined",
    "Line",
    "OutOfOrder",
    "Phone",
    "PinnedKeys",
    "Refused",
    "Response",
    "Unreachable",
    "fetch_manifest",
    "fetch_release",
]

FIRST_COUNTER_BELOW = 2**31
COUNTER_STEP_UP_TO = 2**16
COUNTER_BELOW = 2**32


class OutOfOrder(Exception):
    """A step was taken before the one it builds on."""


@dataclass(frozen=True, repr=False)
class Response:
    """What one rep says: item id to choice (1..5; absent = no answer) and a reason (0..10) or none."""

    answers: Mapping[str, int]
    flag: int | None = None


@dataclass(repr=False)
class Pass:
    """The right to one sheet: the key that signs its envelopes, and the token that names this key."""

    private_key: ec.EllipticCurvePrivateKey
    public_key: bytes
    message: bytes
    blinding: blinding.Blinding
    counter: int = -1

    def next_counter(self) -> int:
        """Return a random first counter, then one that is higher by a random step."""
        if self.counter < 0:
            self.counter = secrets.randbelow(FIRST_COUNTER_BELOW)
        else:
            self.counter += 1 + secrets.randbelow(COUNTER_STEP_UP_TO)
        if self.counter >= COUNTER_BELOW:
            raise Refused("These answers were replaced too often.")
        return self.counter


def make_pass(issuer: Issuer) -> Pass:
    """Return a pass with a fresh key and a blinded request for its token."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    public_key = private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    message = blinding.token_input(envelope.nonce(public_key), challenge=issuer.challenge, spki=issuer.spki)
    # RFC 9474, 4.2: salt and factor are fresh and secret; 0 is not a factor.
    hidden = blinding.blind(
        message,
        issuer.public_key,
        salt=secrets.token_bytes(token.SALT_BYTES),
        r=1 + secrets.randbelow(issuer.public_key.n - 1),
    )
    return Pass(private_key, public_key, message, hidden)


@dataclass(repr=False)
class Phone:
    """One rep's phone in one cycle. Every step may be repeated after ``Unreachable``."""

    line: Line
    view: CycleView
    code: str
    receipts: dict[str, messages.ReceiptReply] = field(default_factory=dict)
    _openings: dict[str, Sheet | None] = field(default_factory=dict)
    _sheets: dict[str, Sheet] = field(default_factory=dict)
    _passes: dict[str, Pass] = field(default_factory=dict)
    _tokens: dict[str, bytes] = field(default_factory=dict)
    _sealed: dict[str, bytes] = field(default_factory=dict)

    async def take_part(self, response: Response, *, leave_out: Collection[str] = ()) -> None:
        """Do the whole journey once: session, answer, tokens, seal, send."""
        await self.session()
        self.answer(response, leave_out=leave_out)
        await self.take_tokens()
        self.seal()
        await self.send()

    async def session(self) -> None:
        """Open the invitation and check every value that survey hands out against the manifest."""
        try:
            body = messages.SessionRequest(code=self.code)
        except ValidationError:
            raise Refused("The link is not complete. Open it again from the message.") from None
        reply = read(messages.SessionReply, await self._post("session", body))
        self._openings = check_openings(self.view.manifest, reply)

    def answer(self, response: Response, *, leave_out: Collection[str] = ()) -> dict[str, Sheet]:
        """Turn a response into one sheet per table; what is missing or left out becomes a blank."""
        fields: dict[str, int | None] = {"flag": response.flag}
        for dimension, band in scoring.bands(self.view.manifest.instrument, response.answers).items():
            fields[f"{dimension}_band"] = band
        if not self._openings:
            raise OutOfOrder("answer")
        self._sheets = {}
        for name, opening in self._openings.items():
            said = fields.get(CATALOGUE[name].field)
            if said is None or opening is None or name in leave_out:
                self._sheets[name] = blank(1)
            elif not 0 <= said < CATALOGUE[name].field_values:
                raise ValueError("a reason is one of those the instrument lists")
            else:
                self._sheets[name] = dataclasses.replace(opening, fields=(said,))
        return dict(self._sheets)

    async def take_tokens(self) -> None:
        """Get one blind-signed token per sheet; the keys are kept before the request leaves."""
        issuers = self.view.issuers
        if not self._passes:
            self._passes = {name: make_pass(issuer) for name, issuer in issuers.items()}
        blinded = {name: b64(held.blinding.blinded) for name, held in self._passes.items()}
        body = messages.TokenRequest(code=self.code, blinded=blinded)
        reply = read(messages.TokenReply, await self._post("tokens", body))
        if set(reply.signatures) != set(issuers):
            raise Refused("Survey did not sign one token per sheet. No answer was sent.")
        for name, held in self._passes.items():
            try:
                blind_signature = unb64(reply.signatures[name])
                signature = blinding.finalize(blind_signature, issuers[name].public_key, held.blinding)
            except (InvalidEncoding, blinding.InvalidBlindSignature) as error:
                raise Refused("A token is not signed by the manifest's key. No answer was sent.") from error
            self._tokens[name] = held.message + signature

    def seal(self, kind: int = envelope.ANSWERS) -> list[bytes]:
        """Seal every sheet under its token, in random order; a later sealing has higher counters."""
        if not self._sheets or any(name not in self._tokens for name in self._sheets):
            raise OutOfOrder("seal")
        names = list(self._sheets)
        secrets.SystemRandom().shuffle(names)
        self._sealed = {name: self._seal_sheet(name, kind) for name in names}
        return list(self._sealed.values())

    async def send(self) -> None:
        """Put the sealed envelopes into the box, and keep a checked receipt for each."""
        for name, sealed in self._sealed.items():
            address = self.view.address("envelopes")
            reply = await self.line.call("POST", address, sealed, "application/octet-stream")
            self.receipts[name] = self._check_receipt(sealed, read(messages.ReceiptReply, reply))

    async def replace(self, response: Response, *, leave_out: Collection[str] = ()) -> None:
        """Overwrite what this phone sent, under the same tokens."""
        self.answer(response, leave_out=leave_out)
        self.seal()
        await self.send()

    async def withdraw(self) -> None:
        """Take back every sheet; a withdrawal is as long as an answer."""
        self._sheets = dict.fromkeys(self._sheets, blank(1))
        self.seal(envelope.WITHDRAWAL)
        await self.send()

    async def check_receipts(self) -> dict[str, bool]:
        """Ask, sheet by sheet, whether the envelope last sent is in the box now."""
        states = {}
        for name, sealed in self._sealed.items():
            address = self.view.address(f"receipts/{receipt_hash(sealed).hex()}")
            states[name] = read(messages.ReceiptState, await self.line.call("GET", address)).stored
        return states

    async def check_counted(self, release: Release) -> dict[str, Outcome | None]:
        """Ask aggregate, after ``fetch_release``, what became of the envelope last sent for each sheet.

        The lists it shows are checked against the release. None stands for a sheet in no list: it was lost.
        """
        hashes = {name: receipt_hash(sealed) for name, sealed in self._sealed.items()}
        return await fetch_outcomes(self.line, self.view, release, hashes)

    def _seal_sheet(self, name: str, kind: int) -> bytes:
        held, cycle = self._passes[name], self.view.manifest
        unsigned = envelope.Envelope(
            suite=cycle.suite,
            kind=kind,
            counter=held.next_counter(),
            token=self._tokens[name],
            public_key=held.public_key,
            signature=b"",
            sealed=envelope.seal(
                encode(self._sheets[name], length=cycle.plaintext_length),
                public_key=self.view.issuers[name].opening_key,
                suite=cycle.suite,
                manifest_hash=self.view.manifest_hash,
                sheet=name,
                nonce=envelope.nonce(held.public_key),
            ),
        )
        return dataclasses.replace(
            unsigned, signature=sign(held.private_key, unsigned.signed_bytes())
        ).encode()

    def _check_receipt(self, sealed: bytes, receipt: messages.ReceiptReply) -> messages.ReceiptReply:
        digest = receipt_hash(sealed)
        try:
            signed.check(self.view.survey_key, "receipt", digest, receipt.signature)
        except signed.InvalidSignedDocument as error:
            raise Refused("A receipt is not signed by survey.") from error
        if receipt.hash != digest.hex():
            raise Refused("A receipt is for another envelope.")
        return receipt

    async def _post(self, call: str, body: BaseModel) -> bytes:
        content = body.model_dump_json().encode("utf-8")
        return await self.line.call("POST", self.view.address(call), content, "application/json")


def sign(private_key: ec.EllipticCurvePrivateKey, body: bytes) -> bytes:
    """Return an ECDSA signature over SHA-256 as the 64 bytes of ``r || s``, in its one form."""
    return envelope.encode_signature(private_key.sign(body, ec.ECDSA(hashes.SHA256())))
