"""Opening keys: one file per cycle and sheet, outside the database and every backup.

They are made for a proposal, read once at the release and destroyed with it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import TypeAdapter, ValidationError

from services.kit.http import log_fault
from services.kit.keys import destroy_secret, settle, write_secret
from services.protocol.manifest import Identifier

SCALAR_BYTES = 32
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


class KeyLost(Exception):
    """An opening key is not where it was written; the sheets under it can't be opened any more."""


class KeysLeft(Exception):
    """Opening keys that should be gone could not be destroyed."""


class Keyring:
    """The opening keys of all cycles in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, Lock()
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
        # Also what a broken attempt left: nobody knows how far that got.
        settle(self._folder / cycle, self._folder.parent)
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
        """Destroy every key of a cycle that can be destroyed, and raise KeysLeft if one can't.

        Nothing happens if they are gone already.
        """
        folder, faults = self._folder / cycle, list[OSError]()
        with self._lock:
            try:
                # One file that resists doesn't save the others.
                for path in sorted(folder.iterdir()):
                    faults += _fault_of_destroying(path)
                folder.rmdir()
            except FileNotFoundError:
                return
            except OSError as error:
                raise KeysLeft from (faults or [error])[0]

    def holds(self, cycle: str) -> bool:
        """Return whether anything of a cycle's keys is left."""
        return (self._folder / cycle).is_dir()

    def cycles(self) -> set[str]:
        """Return the cycles that have keys; what isn't named like a cycle is none."""
        return {path.name for path in self._folder.iterdir() if path.is_dir() and _is_identifier(path.name)}

    def _path(self, cycle: str, sheet: str) -> Path:
        return self._folder / cycle / f"{sheet}.key"


class Destruction:
    """Destroys the keys of cycles that are over, and remembers which of them resisted."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._left: set[str] = set()
        self._lost: set[str] = set()
        self._strange = 0

    def attempt(self, cycle: str) -> None:
        """Destroy a cycle's keys; what resists is remembered, and tried again at the next sweep."""
        try:
            self._keyring.destroy(cycle)
        except KeysLeft as error:
            log_fault("opening keys not destroyed", error.__cause__ or error)
            self._left.add(cycle)
        else:
            self._left.discard(cycle)
        self._lost.discard(cycle)

    def sweep(self, states: Mapping[str, str]) -> None:
        """Destroy the keys of all cycles that are over by ``states``, which has every known cycle.

        Keys of an unknown cycle are never touched. A proposal that broke off may have left them, and
        its repetition uses them; or this is an empty or an older database, and they are somebody's only
        way to open a box that is being filled.
        """
        with_keys = self._keyring.cycles()
        for cycle in sorted(with_keys & states.keys()):
            if states[cycle] != "open":
                self.attempt(cycle)
        # Beside other cycles, keys of unknown ones are what a broken proposal leaves and stop nothing. A
        # database without any cycle beside keys looks like the wrong database.
        self._strange = 0 if states else len(with_keys)
        self._lost = {cycle for cycle, state in states.items() if state == "open"} - with_keys

    @property
    def left(self) -> int:
        """How many cycles are over and still have keys."""
        return len(self._left)

    def unfinished(self) -> list[str]:
        """Say what an operator has to look into."""
        reasons = []
        if self._left:
            reasons.append(
                f"Opening keys that should be gone are not destroyed yet; cycles: {len(self._left)}."
            )
        if self._strange:
            reasons.append(
                f"There are opening keys, but this database knows no cycle. Is it the right one? "
                f"Nothing was destroyed; cycles with keys: {self._strange}."
            )
        if self._lost:
            reasons.append(
                "The opening keys of open cycles are lost; these can only be made void (fairpatch void): "
                f"{', '.join(sorted(self._lost))}."
            )
        return reasons


def public_point(scalar: bytes) -> bytes:
    """Return the uncompressed public point (65 bytes) of a raw scalar."""
    key = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _fault_of_destroying(path: Path) -> tuple[OSError, ...]:
    try:
        destroy_secret(path)
    except OSError as error:
        return (error,)
    return ()


def _is_identifier(name: str) -> bool:
    try:
        _IDENTIFIER.validate_python(name)
    except ValidationError:
        return False
    return True
