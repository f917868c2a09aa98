"""The wire once more, in the plainest form and apart from ``services``: it makes and checks the vectors.

Only hashes, big integers and AES come from libraries. What is random on a phone (the ephemeral key, the
salt, the nonce of a signature) is an argument or follows from a label here, so that every byte repeats.
"""

import hashlib
import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KEM_SUITE = b"KEM" + (0x0010).to_bytes(2, "big")
HPKE_SUITE = b"HPKE" + bytes.fromhex("001000010001")
PSS_ALGORITHM = bytes.fromhex(
    "303d06092a864886f70d01010a3030a00d300b0609608648016503040202a11a301806092a864886f70d010108"
    "300b0609608648016503040202a203020130"
)


def sha256(*parts: bytes) -> bytes:
    """Return SHA-256 over the concatenation of ``parts``."""
    return hashlib.sha256(b"".join(parts)).digest()


def made_up(label: str, length: int = 32) -> bytes:
    """Return bytes that look random and follow from a label."""
    return hashlib.shake_256(b"fairpatch vectors: " + label.encode()).digest(length)


def private_key(label: str) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key whose scalar follows from a label."""
    scalar = int.from_bytes(made_up(label), "big") % (CURVE_ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


def scalar_hex(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the private scalar in hex."""
    return key.private_numbers().private_value.to_bytes(32, "big").hex()


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the uncompressed public point."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def merkle(leaves: Sequence[bytes]) -> bytes:
    """Return the tree hash of RFC 9162, 2.1.1, by its definition."""
    if len(leaves) < 2:
        return sha256(*(b"\x00" + leaf for leaf in leaves))
    split = max(2**power for power in range(20) if 2**power < len(leaves))
    return sha256(b"\x01", merkle(leaves[:split]), merkle(leaves[split:]))


def merkle_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes beside the way from leaf ``index`` to the root, from below."""
    if len(leaves) < 2:
        return []
    split = max(2**power for power in range(20) if 2**power < len(leaves))
    if index < split:
        return [*merkle_proof(leaves[:split], index), merkle(leaves[split:])]
    return [*merkle_proof(leaves[split:], index - split), merkle(leaves[:split])]


def der(tag: int, content: bytes) -> bytes:
    """Return one DER element."""
    size = len(content)
    head = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + head + content


def spki(n: int, e: int) -> bytes:
    """Return a 2048-bit issuer key in the one encoding of RFC 9578, 6.5."""
    numbers = der(2, b"\x00" + n.to_bytes(256, "big")) + der(2, e.to_bytes(3, "big"))
    return der(0x30, PSS_ALGORITHM + der(3, b"\x00" + der(0x30, numbers)))


def made_up_modulus(label: str) -> int:
    """Return a number that passes for a 2048-bit modulus; nobody knows its factors."""
    return int.from_bytes(made_up(label, 256), "big") | 1 << 2047 | 1


def token_challenge(context: bytes) -> bytes:
    """Return the TokenChallenge of RFC 9577, 2.1, for the issuer ``fairpatch`` and no origin."""
    return b"\x00\x02" + b"\x00\x09fairpatch" + b"\x20" + context + b"\x00\x00"


def pss_sign(message: bytes, *, salt: bytes, n: int, d: int) -> bytes:
    """Return the RSASSA-PSS signature with a given salt (RFC 8017, 8.1 and 9.1.1; SHA-384)."""
    digest = hashlib.sha384(bytes(8) + hashlib.sha384(message).digest() + salt).digest()
    block = b"\x01".rjust(256 - 48 - 48 - 1, b"\x00") + salt
    mask = b"".join(hashlib.sha384(digest + i.to_bytes(4, "big")).digest() for i in range(5))
    masked = bytearray(a ^ b for a, b in zip(block, mask, strict=False))
    masked[0] &= 0x7F
    return pow(int.from_bytes(bytes(masked) + digest + b"\xbc", "big"), d, n).to_bytes(256, "big")


def ecdsa_sign(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """Return ``r || s`` of the signature whose nonce follows from key and message (RFC 6979); s is low."""
    signature = key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = utils.decode_dss_signature(signature)
    return r.to_bytes(32, "big") + (s if 2 * s < CURVE_ORDER else CURVE_ORDER - s).to_bytes(32, "big")


def hpke_seal(
    plaintext: bytes, *, receiver: bytes, info: bytes, ephemeral: ec.EllipticCurvePrivateKey, aad: bytes = b""
) -> bytes:
    """Return ``enc || ciphertext`` of HPKE base mode with a given ephemeral key (RFC 9180, 4.1 and 5.1)."""
    enc = point(ephemeral)
    receiver_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), receiver)
    shared_point = ephemeral.exchange(ec.ECDH(), receiver_key)
    prk = _labeled_extract(KEM_SUITE, b"", b"eae_prk", shared_point)
    shared_secret = _labeled_expand(KEM_SUITE, prk, b"shared_secret", enc + receiver, 32)
    context = (
        b"\x00"
        + _labeled_extract(HPKE_SUITE, b"", b"psk_id_hash", b"")
        + _labeled_extract(HPKE_SUITE, b"", b"info_hash", info)
    )
    secret = _labeled_extract(HPKE_SUITE, shared_secret, b"secret", b"")
    key = _labeled_expand(HPKE_SUITE, secret, b"key", context, 16)
    base_nonce = _labeled_expand(HPKE_SUITE, secret, b"base_nonce", context, 12)
    return enc + AESGCM(key).encrypt(base_nonce, plaintext, aad)


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite + label + secret, "sha256")


def _labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    # One block of HKDF-Expand is enough for every length used here.
    text = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, text + b"\x01", "sha256")[:length]
