"""Value commitments: the manifest certifies each public value without naming who has it."""

from collections.abc import Iterable, Sequence

from services.protocol.encoding import sha256

LABEL = b"fairpatch value v1"
SECRET_BYTES = 32
VALUE_BYTES = 16
MERKLE_ABOVE = 200
"""A manifest lists up to this many commitments of a sheet; above it, only their Merkle root."""


class InvalidCommitment(ValueError):
    """A value and secret do not open any commitment of the sheet."""


def encode_value(value: int) -> bytes:
    """Return the 16 bytes of a public value (an index)."""
    if not 0 <= value < 1 << 8 * VALUE_BYTES:
        raise InvalidCommitment("not a public value")
    return value.to_bytes(VALUE_BYTES, "big")


def commit(sheet: str, value: bytes, secret: bytes) -> bytes:
    """Return the commitment of one public value: ``SHA-256(label || sheet || value || secret)``.

    The label and the last two parts have fixed lengths, so no two inputs share an encoding.

    Parameters
    ----------
    sheet : str
        Name of the sheet.
    value : bytes
        The value [16 bytes], see ``encode_value``.
    secret : bytes
        Its secret [32 bytes]; the same for everybody who shares the value.

    Returns
    -------
    bytes
        The commitment [32 bytes] that the manifest lists.

    Raises
    ------
    InvalidCommitment
        If value or secret has another length.

    Notes
    -----
    Privacy: exact; the secret certifies a value and names nobody, as all who share it hold the same.
    Source: system.md, section 4 (context values).

    Examples
    --------
    >>> commit("support-group", encode_value(3), bytes(32)).hex()[:16]
    'c44fb902807c85dd'
    """
    if len(value) != VALUE_BYTES or len(secret) != SECRET_BYTES:
        raise InvalidCommitment("value or secret of the wrong length")
    return sha256(LABEL, sheet.encode("utf-8"), value, secret)


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """Return the Merkle tree hash of ``leaves`` (RFC 9162, 2.1.1); holds one node per level of the tree."""
    whole: list[bytes] = []
    for count, leaf in enumerate(leaves, start=1):
        node, level = sha256(b"\x00", leaf), count
        # Each factor 2 in the count completes a subtree whose left half waits on top.
        while level % 2 == 0:
            node, level = sha256(b"\x01", whole.pop(), node), level // 2
        whole.append(node)
    while len(whole) > 1:
        node = whole.pop()
        whole.append(sha256(b"\x01", whole.pop(), node))
    return whole[0] if whole else sha256()


def merkle_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the inclusion proof of leaf ``index`` (RFC 9162, 2.1.3.1)."""
    if not 0 <= index < len(leaves):
        raise InvalidCommitment("no such leaf")
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*merkle_path(leaves[:split], index), merkle_root(leaves[split:])]
    return [*merkle_path(leaves[split:], index - split), merkle_root(leaves[:split])]


def verify_path(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check an inclusion proof (RFC 9162, 2.1.3.2) or raise InvalidCommitment."""
    node, last = sha256(b"\x00", leaf), size - 1
    if not 0 <= index < size:
        raise InvalidCommitment("no such leaf")
    for step in path:
        if last == 0:
            raise InvalidCommitment("proof too long")
        if index & 1 or index == last:
            node = sha256(b"\x01", step, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = sha256(b"\x01", node, step)
        index, last = index >> 1, last >> 1
    if last != 0 or node != root:
        raise InvalidCommitment("proof does not lead to the root")
