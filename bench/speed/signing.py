"""Blind signatures against plain ones: what a phone's pass costs survey, in private RSA powers of openssl.

Both are counted per second of one core's processor time, one after the other in the same run.
"""

import re
import secrets
import statistics
import subprocess
import time
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bench.speed.verdicts import Verdict, at_least
from services.survey.core.issuer import IssuerKey

PAIRS = 5
SECONDS = 1.0
AT_LEAST = 0.2
_OPENSSL = ("openssl", "speed", "-seconds", "1", "rsa2048")
_RATE = re.compile(r"rsa 2048 bits\s+\S+s\s+\S+s\s+([\d.]+)")


@dataclass(frozen=True)
class Pair:
    """Signatures per second and core: ours, and those they are held against."""

    blind: float
    plain: float

    @property
    def ratio(self) -> float:
        """Ours in units of the others."""
        return self.blind / self.plain


@dataclass(frozen=True)
class Signing:
    """The pairs of a run, and by whose measure."""

    pairs: tuple[Pair, ...]
    source: str


def measure() -> Signing:
    """Measure pairs, one after the other."""
    private = rsa.generate_private_key(65537, 2048)
    issuer = IssuerKey.from_private_key(private)
    with_command = _openssl_rate() is not None
    pairs = []
    for _ in range(PAIRS):
        plain = _openssl_rate() if with_command else None
        pairs.append(Pair(_blind_rate(issuer), plain or _library_rate(private)))
    source = " ".join(_OPENSSL) if with_command else "cryptography's sign (no usable openssl command)"
    return Signing(tuple(pairs), source)


def lines(signing: Signing) -> list[str]:
    """Return the figures in words."""
    blind, plain = (
        statistics.median(getattr(each, name) for each in signing.pairs) for name in ("blind", "plain")
    )
    ratios = [each.ratio for each in signing.pairs]
    return [
        f"blind signatures a second and core  {blind:8,.0f}",
        f"openssl's plain ones                {plain:8,.0f}  ({signing.source})",
        f"ratio, median of {len(ratios)} pairs           {statistics.median(ratios):8.2f}"
        f"  ({min(ratios):.2f} to {max(ratios):.2f})",
    ]


def judge(signing: Signing) -> list[Verdict]:
    """Return whether the figure of the design is met."""
    ratio = statistics.median(each.ratio for each in signing.pairs)
    return [at_least("blind-sign in openssl rsa2048 signs per core", ratio, AT_LEAST)]


def _blind_rate(issuer: IssuerKey) -> float:
    done, begun = 0, time.process_time()
    while time.process_time() < begun + SECONDS:
        blinded = (2 + secrets.randbelow(issuer.n - 3)).to_bytes(issuer.modulus_bytes, "big")
        issuer.blind_sign(blinded)
        done += 1
    return done / (time.process_time() - begun)


def _openssl_rate() -> float | None:
    try:
        said = subprocess.run(_OPENSSL, capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = _RATE.search(said)
    return None if found is None else float(found.group(1))


def _library_rate(private: rsa.RSAPrivateKey) -> float:
    done, begun = 0, time.process_time()
    while time.process_time() < begun + SECONDS:
        private.sign(b"", padding.PKCS1v15(), hashes.SHA256())
        done += 1
    return done / (time.process_time() - begun)
