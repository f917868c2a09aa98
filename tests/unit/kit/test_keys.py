"""Keys as files: for their owner only, never overwritten, gone when destroyed."""

import os
import stat
from pathlib import Path

import pytest

from services.kit.keys import destroy_secret, load_identity, new_identity, write_secret
from services.protocol.signed import InvalidSignedDocument, check


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_identity_comes_back_from_its_file(tmp_path: Path) -> None:
    made = new_identity(tmp_path / "identity.key")
    read = load_identity(tmp_path / "identity.key")
    assert read.public == made.public
    check(made.public, "receipt", b"body", read.sign("receipt", b"body"))
    with pytest.raises(InvalidSignedDocument):
        check(made.public, "release", b"body", read.sign("receipt", b"body"))


def test_a_secret_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_secret(tmp_path / "keys" / "opening.key", b"secret")
    finally:
        os.umask(before)
    assert mode(tmp_path / "keys" / "opening.key") == 0o600
    assert mode(tmp_path / "keys") == 0o700


def test_a_secret_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "opening.key"
    write_secret(path, b"first")
    with pytest.raises(FileExistsError):
        write_secret(path, b"second")
    with pytest.raises(FileExistsError):
        new_identity(path)
    assert path.read_bytes() == b"first"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "opening.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_secret(tmp_path / "opening.key", b"secret")
    assert not (tmp_path / "elsewhere").exists()


def test_a_long_secret_is_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    # A system may take fewer bytes than it was given.
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, bytes(data)[:7]))
    write_secret(tmp_path / "key", bytes(range(100)))
    assert (tmp_path / "key").read_bytes() == bytes(range(100))


def test_a_destroyed_secret_is_overwritten_and_gone(tmp_path: Path) -> None:
    path, other_name = tmp_path / "opening.key", tmp_path / "hard-link"
    write_secret(path, b"secret")
    os.link(path, other_name)
    destroy_secret(path)
    assert not path.exists()
    assert other_name.read_bytes() == bytes(6)


def test_destroying_twice_is_no_error(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", b"secret")
    destroy_secret(tmp_path / "key")
    destroy_secret(tmp_path / "key")
    assert list(tmp_path.iterdir()) == []
