"""Phones for the tests of aggregate: tokens signed without blinding, sheets sealed honestly or not."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.protocol import commitments, envelope, sheet, token
from services.protocol.encoding import sha256, unb64
from services.protocol.manifest import Manifest, SheetSpec
from tests.flow.aggregate.factories import issuer_key, value_secret

PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=token.SALT_BYTES)


@dataclass
class Hand:
    """What one phone holds for one sheet: the key its token names, and the token."""

    manifest: Manifest
    spec: SheetSpec
    issuer: rsa.RSAPrivateKey | None = None
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        unsigned = token.Token(
            nonce=envelope.nonce(point),
            challenge_digest=sha256(token.challenge(self.manifest.hash(), self.spec.name)),
            key_id=token.key_id(self.spec.spki),
            authenticator=b"",
        )
        issuer = self.issuer or issuer_key(self.spec.name)
        authenticator = issuer.sign(unsigned.input(), PSS, hashes.SHA384())
        self.point = point
        self.token = token.Token(unsigned.nonce, unsigned.challenge_digest, unsigned.key_id, authenticator)

    def seal(self, content: sheet.Sheet | bytes, *, kind: int = 0, counter: int = 1, name: str = "") -> bytes:
        """Return an envelope with a sheet (or any plaintext bytes) in it."""
        plaintext = (
            content
            if isinstance(content, bytes)
            else sheet.encode(content, length=self.manifest.plaintext_length)
        )
        sealed = envelope.seal(
            plaintext,
            public_key=unb64(self.spec.opening_key),
            suite=self.manifest.suite,
            manifest_hash=self.manifest.hash(),
            sheet=name or self.spec.name,
            nonce=self.token.nonce,
        )
        fields = envelope.Envelope(1, kind, counter, self.token.encode(), self.point, b"", sealed)
        der = self.key.sign(fields.signed_bytes(), ec.ECDSA(hashes.SHA256()))
        signature = envelope.encode_signature(der)
        return envelope.Envelope(1, kind, counter, fields.token, self.point, signature, sealed).encode()


def answer(spec: SheetSpec, cell: tuple[int, int] | None) -> sheet.Sheet:
    """Return the sheet of a cell (field value, context value), or a blank."""
    if cell is None:
        return sheet.blank(1)
    row, value = cell
    return sheet.Sheet((row,), commitments.encode_value(value), value_secret(spec.name, value))


def nonce_of(sealed: bytes) -> bytes:
    """Return the token nonce in an envelope."""
    return sealed[9:41]
