"""A disk that forgets: after a power cut only what was synced is sure to be there.

The files are real; what is durable is noted at each ``fsync``. A file keeps what it held when it was last
synced, a folder the names it had when the folder was last synced. Anything later came through, or didn't.
A kill of the process is milder: everything that was written stays.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Tree = dict[str, "bytes | Tree"]


class Ended(BaseException):
    """Nothing comes after this. Not an Exception, so that nobody handles it."""


@dataclass
class ForgetfulDisk:
    """A folder on such a disk; the process ends before its nth sync (0: never).

    ``luck`` is how likely each change comes through that was not synced.
    """

    root: Path
    end_before: int = 0
    luck: float = 0.0
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    syncs: int = 0
    _contents: dict[int, bytes] = field(default_factory=dict)
    _names: dict[int, dict[str, int]] = field(default_factory=dict)
    left: Tree = field(default_factory=dict)

    def __post_init__(self) -> None:
        for folder in [self.root, *(path for path in self.root.rglob("*") if path.is_dir())]:
            self._names[folder.stat().st_ino] = names(folder)
        for path in (path for path in self.root.rglob("*") if path.is_file()):
            self._contents[path.stat().st_ino] = path.read_bytes()

    def fsync(self, handle: int) -> None:
        """Make a file's contents or a folder's names durable; stands for ``os.fsync``."""
        self.syncs += 1
        if self.syncs == self.end_before:
            self.left = self.after_a_cut()
            raise Ended
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if path.is_dir():
            self._names[os.fstat(handle).st_ino] = names(path)
        else:
            self._contents[os.fstat(handle).st_ino] = path.read_bytes()

    def after_a_cut(self) -> Tree:
        """Return what is found when the power is back, had it gone at this moment."""
        return self._folder(self.root)

    def remains(self) -> list[bytes]:
        """Return what lies on the disk of files, also of those that no folder names any more."""
        return list(self._contents.values())

    def _folder(self, folder: Path) -> Tree:
        kept, now = self._names.get(folder.stat().st_ino, {}), names(folder)
        found: Tree = {}
        for name, inode in now.items():
            if kept.get(name) == inode or self._lucky():
                path = folder / name
                found[name] = self._folder(path) if path.is_dir() else self._content(inode, path.read_bytes())
        for name, inode in kept.items():
            # A file that was removed may be back, with what it held last.
            if now.get(name) != inode and inode in self._contents and not self._lucky():
                found[name] = self._contents[inode]
        return found

    def _content(self, inode: int, written: bytes) -> bytes:
        return written if self._lucky() else self._contents.get(inode, b"")

    def _lucky(self) -> bool:
        return self.dice.random() < self.luck


def names(folder: Path) -> dict[str, int]:
    """Return what is in a folder: names, and which file each of them names."""
    return {path.name: path.stat().st_ino for path in folder.iterdir()}


def write_tree(folder: Path, tree: Tree) -> None:
    """Write files and folders."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, what in tree.items():
        if isinstance(what, bytes):
            (folder / name).write_bytes(what)
        else:
            write_tree(folder / name, what)


def files(tree: Tree) -> list[bytes]:
    """Return the contents of all files."""
    found = [what for what in tree.values() if isinstance(what, bytes)]
    below = (files(what) for what in tree.values() if not isinstance(what, bytes))
    return found + [each for some in below for each in some]


def run(disk: ForgetfulDisk, work: Callable[[], object]) -> bool:
    """Do some work on the disk; return whether it came to its end."""
    before, os.fsync = os.fsync, disk.fsync
    try:
        work()
    except Ended:
        return False
    finally:
        os.fsync = before
    return True
