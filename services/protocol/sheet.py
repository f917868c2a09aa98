"""The plaintext of a sheet: fields, context value, its secret, zero padding; one length per cycle."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.protocol.commitments import SECRET_BYTES, VALUE_BYTES

MISSING = 255


class InvalidSheet(ValueError):
    """The plaintext is not a sheet of this layout."""


@dataclass(frozen=True)
class Sheet:
    """What one sheet says: one byte per field (255 = missing), a context value and its secret."""

    fields: tuple[int, ...]
    value: bytes
    secret: bytes

    @property
    def blank(self) -> bool:
        """Whether the sheet says nothing."""
        return self.fields.count(MISSING) == len(self.fields)


def plaintext_length(field_counts: Sequence[int]) -> int:
    """Return the common plaintext length [bytes] of a cycle whose sheets have these many fields."""
    return max(field_counts) + VALUE_BYTES + SECRET_BYTES


def blank(fields: int) -> Sheet:
    """Return the one blank sheet with ``fields`` fields."""
    return Sheet((MISSING,) * fields, bytes(VALUE_BYTES), bytes(SECRET_BYTES))


def encode(sheet: Sheet, *, length: int) -> bytes:
    """Return the plaintext of ``sheet``, padded with zeros to ``length`` bytes."""
    if not all(0 <= field <= MISSING for field in sheet.fields):
        raise InvalidSheet("field out of range")
    body = bytes(sheet.fields) + sheet.value + sheet.secret
    if len(sheet.value) != VALUE_BYTES or len(sheet.secret) != SECRET_BYTES or len(body) > length:
        raise InvalidSheet("sheet does not fit its layout")
    return body.ljust(length, b"\x00")


def decode(plaintext: bytes, *, sizes: Sequence[int], length: int) -> Sheet:
    """Return the sheet in ``plaintext``.

    Parameters
    ----------
    plaintext : bytes
        What the envelope held.
    sizes : sequence of int
        How many values each field may take; field i is in ``0 .. sizes[i] - 1`` or 255.
    length : int
        The cycle's plaintext length [bytes].

    Raises
    ------
    InvalidSheet
        Wrong length, a field out of range, non-zero padding, or a blank that carries a value.
    """
    count = len(sizes)
    body = count + VALUE_BYTES + SECRET_BYTES
    if len(plaintext) != length or body > length or any(plaintext[body:]):
        raise InvalidSheet("wrong length or padding")
    fields = tuple(plaintext[:count])
    if any(f != MISSING and f >= size for f, size in zip(fields, sizes, strict=True)):
        raise InvalidSheet("field out of range")
    sheet = Sheet(fields, plaintext[count : count + VALUE_BYTES], plaintext[body - SECRET_BYTES : body])
    if sheet.blank and (any(sheet.value) or any(sheet.secret)):
        raise InvalidSheet("blank sheet with a value")
    return sheet
