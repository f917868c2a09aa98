"""Issuer keys on disk: one file per cycle and sheet, outside the database."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from services.kit.keys import destroy_secret, settle, write_secret
from services.protocol.encoding import sha256
from services.survey.core.issuer import IssuerKey


class IssuerFolder:
    """Makes and reads the issuer keys of cycles."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, cycle_id: str, sheets: tuple[str, ...]) -> dict[str, IssuerKey]:
        """Return the keys of a cycle, making those that are missing."""
        missing = [sheet for sheet in sheets if not self._path(cycle_id, sheet).exists()]
        with ThreadPoolExecutor() as pool:
            for sheet, key in zip(missing, pool.map(_generate, missing), strict=True):
                write_secret(self._path(cycle_id, sheet), key.to_der())
        # Also what a broken attempt left: nobody knows how far that got.
        settle(self._folder / cycle_id, self._folder.parent)
        return self.load(cycle_id, sheets)

    def load(self, cycle_id: str, sheets: tuple[str, ...]) -> dict[str, IssuerKey]:
        """Return the keys of a cycle."""
        return {sheet: IssuerKey.from_der(self._path(cycle_id, sheet).read_bytes()) for sheet in sheets}

    def fingerprint(self, cycle_id: str, sheets: tuple[str, ...]) -> bytes:
        """Return a hash over a cycle's key files. Raises OSError if one can't be read."""
        return sha256(*(sha256(self._path(cycle_id, sheet).read_bytes()) for sheet in sheets))

    def destroy(self, cycle_id: str) -> None:
        """Destroy a cycle's keys; nothing happens if there are none."""
        folder = self._folder / cycle_id
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                destroy_secret(path)
            folder.rmdir()

    def _path(self, cycle_id: str, sheet: str) -> Path:
        return self._folder / cycle_id / f"{sheet}.key"


def _generate(_sheet: str) -> IssuerKey:
    return IssuerKey.from_private_key(rsa.generate_private_key(public_exponent=65537, key_size=2048))
