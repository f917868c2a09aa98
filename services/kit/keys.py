"""Private keys as files of their own: identities (Ed25519) and any other secret bytes."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.protocol.encoding import b64
from services.protocol.signed import Purpose, message


@dataclass(frozen=True)
class Identity:
    """A service's signing key."""

    private_key: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        """The raw public key (32 bytes)."""
        return self.private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, purpose: Purpose, body: bytes) -> str:
        """Return the base64url signature over ``body`` for one purpose."""
        return b64(self.private_key.sign(message(purpose, body)))


def new_identity(path: Path) -> Identity:
    """Make an identity and write it to ``path``."""
    private_key = Ed25519PrivateKey.generate()
    write_secret(path, private_key.private_bytes_raw())
    return Identity(private_key)


def load_identity(path: Path) -> Identity:
    """Return the identity stored at ``path``."""
    return Identity(Ed25519PrivateKey.from_private_bytes(path.read_bytes()))


def write_secret(path: Path, data: bytes) -> None:
    """Write ``data`` to a new file that only its owner may read: whole and durable, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
        # A link, not a rename: it refuses a name that is taken.
        path.hardlink_to(made)
    finally:
        os.close(handle)
        Path(made).unlink()
    sync_folder(path.parent)


def destroy_secret(path: Path) -> None:
    """Overwrite a secret's file and remove it; nothing happens if it is gone already.

    Overwriting helps on plain disks only; what makes a copy useless is that the file was never backed
    up (see the threat model).
    """
    try:
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk as well."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def settle(folder: Path, root: Path) -> None:
    """Have the names in a folder on disk, and its own in the one above, up to those in ``root``.

    A new folder is lost in a power cut, with all that was synced in it, while its name is not on disk.
    """
    sync_folder(folder)
    if folder != root:
        settle(folder.parent, root)
