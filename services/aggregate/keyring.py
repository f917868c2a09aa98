"""Opening keys: one file per cycle and sheet, outside the database and every backup.

They are made for a proposal, read once at the release and destroyed with it.
"""

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.kit.keys import destroy_secret, write_secret

SCALAR_BYTES = 32


class KeyLost(Exception):
    """An opening key is not where it was written; the sheets under it can't be opened any more."""


class Keyring:
    """The opening keys of all cycles in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def make(self, cycle: str, sheets: Iterable[str]) -> dict[str, bytes]:
        """Return the public points of a cycle's keys; keys that a broken attempt left are used again."""
        points = {}
        for sheet in sheets:
            path = self._path(cycle, sheet)
            if path.exists() and path.stat().st_size != SCALAR_BYTES:
                destroy_secret(path)
            if not path.exists():
                scalar = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
                write_secret(path, scalar.to_bytes(SCALAR_BYTES, "big"))
            points[sheet] = public_point(path.read_bytes())
        return points

    def read(self, cycle: str, sheet: str) -> bytes:
        """Return a sheet's key as its raw P-256 scalar, or raise KeyLost."""
        try:
            scalar = self._path(cycle, sheet).read_bytes()
        except FileNotFoundError:
            raise KeyLost from None
        if len(scalar) != SCALAR_BYTES:
            raise KeyLost
        return scalar

    def destroy(self, cycle: str) -> None:
        """Destroy every key of a cycle; nothing happens if they are gone already."""
        folder = self._folder / cycle
        if not folder.is_dir():
            return
        for path in sorted(folder.iterdir()):
            destroy_secret(path)
        folder.rmdir()

    def cycles(self) -> set[str]:
        """Return the cycles that still have keys."""
        return {path.name for path in self._folder.iterdir()}

    def _path(self, cycle: str, sheet: str) -> Path:
        return self._folder / cycle / f"{sheet}.key"


def public_point(scalar: bytes) -> bytes:
    """Return the uncompressed public point (65 bytes) of a raw scalar."""
    key = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
