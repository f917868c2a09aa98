"""Rules: what a worker must know to check the sheets of one box again. All of it is public."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.protocol.commitments import merkle_root
from services.protocol.encoding import unb64
from services.protocol.manifest import Manifest
from services.protocol.token import challenge


class InvalidRules(ValueError):
    """A sheet cannot be counted by these rules: its commitments or its mode do not fit."""


@dataclass(frozen=True)
class SheetRules:
    """All that is needed to check one sheet again; public, and small enough to send to a worker."""

    manifest_hash: bytes
    sheet: str
    spki: bytes
    challenge: bytes
    suite: int
    envelope_length: int
    plaintext_length: int
    sizes: tuple[int, ...]
    columns: int
    values: tuple[int, ...]
    commitments: tuple[bytes, ...]


def rules_of(manifest: Manifest, sheet: str, commitments: Sequence[bytes]) -> SheetRules:
    """Return the rules by which one sheet's box is counted.

    Parameters
    ----------
    manifest : Manifest
        The countersigned manifest.
    sheet : str
        Name of the sheet.
    commitments : sequence of bytes
        One per public value [32 bytes each], in manifest order; as listed, or under the listed root.

    Returns
    -------
    SheetRules
        Frozen and picklable.

    Raises
    ------
    InvalidRules
        If the commitments are not those of the manifest, or the sheet's values come from a feed
        (``linked`` cycles: record values are joined later and are not certified here).

    Notes
    -----
    Privacy: exact and public; no key is in the rules.
    Source: system.md, section 4 (context values).

    Examples
    --------
    >>> from tests.unit.aggregate.factory import made_commitments, made_manifest
    >>> rules = rules_of(made_manifest(), "support-result", made_commitments("support-result"))
    >>> rules.sizes, rules.columns, rules.values
    ((3,), 4, (0, 1, 2, 3))
    """
    spec = manifest.sheet(sheet)
    if manifest.mode == "linked" and spec.context != "group":
        raise InvalidRules("record values of a linked cycle come from a feed")
    _check_commitments(spec.commitments, spec.commitment_root, len(spec.values), commitments)
    mh = manifest.hash()
    return SheetRules(
        manifest_hash=mh,
        sheet=sheet,
        spki=spec.spki,
        challenge=challenge(mh, sheet),
        suite=manifest.suite,
        envelope_length=manifest.envelope_length,
        plaintext_length=manifest.plaintext_length,
        sizes=spec.sizes,
        columns=spec.columns,
        values=spec.values,
        commitments=tuple(commitments),
    )


def _check_commitments(
    listed: tuple[str, ...] | None, root: str | None, values: int, given: Sequence[bytes]
) -> None:
    expected = [unb64(text) for text in listed] if listed is not None else None
    if len(given) != values or (expected is not None and list(given) != expected):
        raise InvalidRules("not the commitments of the manifest")
    if root is not None and merkle_root(given) != unb64(root):
        raise InvalidRules("not the commitments of the manifest")
