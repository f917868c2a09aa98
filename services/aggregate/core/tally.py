"""Counting: every sheet of a box is checked again in full, and adds to one cell or to nothing."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.aggregate.core.chunks import InvalidChunk
from services.aggregate.core.opener import Opener, SealBroken
from services.aggregate.core.receiptlist import LINE_BYTES, put_in_order
from services.aggregate.core.rules import SheetRules
from services.protocol import commitments, envelope, sheet, token
from services.protocol.receipts import Outcome, leaf, receipt_hash
from services.protocol.release import REASONS

Cell = tuple[int, int]


class RepeatedNonce(ValueError):
    """Chunks that were counted apart may hold sheets under one token; count the box as one chunk."""


class _Rejected(Exception):
    """A sheet that is not counted; carries its reason and nothing else."""


@dataclass(frozen=True, eq=False, repr=False)
class Tally:
    """What a box holds: exact counts, totals, and what became of each envelope.

    ``exact_counts`` has shape (field values, columns). A blank sheet is counted and adds to no cell.
    ``outcomes`` is the packed receipt list, see ``receiptlist``. ``nonces`` are the lowest and the highest
    that were spent, if any were.
    """

    exact_counts: npt.NDArray[np.int64]
    counted: int
    withdrawn: int
    rejected: dict[str, int]
    outcomes: bytes | bytearray
    nonces: tuple[bytes, bytes] | None

    @property
    def received(self) -> int:
        """All envelopes that were looked at."""
        return len(self.outcomes) // LINE_BYTES

    def __repr__(self) -> str:
        """Say how many envelopes were looked at, and nothing of what they held."""
        return f"Tally(received={self.received})"


def count_chunk(chunk: bytes, rules: SheetRules, opening_key: bytes) -> Tally:
    """Return the tally of one chunk of a sheet's box.

    Parameters
    ----------
    chunk : bytes
        Whole envelopes of ``rules.envelope_length`` [bytes each], in box order.
    rules : SheetRules
        From :func:`rules_of`.
    opening_key : bytes
        The sheet's opening key, a raw P-256 scalar [32 bytes].

    Returns
    -------
    Tally
        Exact. Of envelopes with one nonce, the first with a valid token and signature stands.

    Raises
    ------
    InvalidChunk
        If the chunk is not a whole number of envelopes. No bad sheet raises: it is rejected, and
        counted by its reason (``services.protocol.release.REASONS``).

    Notes
    -----
    Privacy: exact; stays in memory, and only noise and gate may read ``exact_counts``. A plaintext
    lives for one step, in no exception, repr or log.
    Source: system.md, sections 4 and 5.

    Examples
    --------
    >>> from tests.unit.aggregate.factory import Cycle
    >>> cycle = Cycle()
    >>> box = cycle.box("support-result", [(0, 2), (1, 2), None])
    >>> tally = count_chunk(box, cycle.rules("support-result"), cycle.opening_key("support-result"))
    >>> tally.counted, int(tally.exact_counts[0, 2]), int(tally.exact_counts.sum())
    (3, 1, 2)
    """
    if len(chunk) % rules.envelope_length:
        raise InvalidChunk("a chunk is a whole number of envelopes")
    count = _Count(rules, opening_key)
    for start in range(0, len(chunk), rules.envelope_length):
        count.add(chunk[start : start + rules.envelope_length])
    return count.tally()


def merge(tallies: Iterable[Tally]) -> Tally:
    """Return the tally of chunks that were counted apart.

    Parameters
    ----------
    tallies : iterable of Tally
        At least one, all of one sheet, in box order. Each is let go before the next is asked for.

    Returns
    -------
    Tally
        Sums, with the outcomes of all in the order of a receipt list.

    Raises
    ------
    RepeatedNonce
        If the spent nonces of a chunk are not all above those of the chunks before it. In a box in nonce
        order they are, and then no two chunks can have accepted sheets under one token. Any other box has
        to be counted as one chunk: the first sheet of a token stands and the others are rejected.

    Notes
    -----
    Privacy: exact; as for :func:`count_chunk`.
    Source: promise P8, one invited rep counts once.

    Examples
    --------
    >>> one = Tally(np.ones((3, 4), dtype=np.int64), 12, 0, {}, bytes(12 * 33), (bytes(32), bytes(32)))
    >>> blanks = Tally(np.zeros((3, 4), dtype=np.int64), 2, 0, {}, bytes(2 * 33), (b"a" * 32, b"b" * 32))
    >>> merge([one, blanks]).counted
    14
    >>> merge([blanks, one])
    Traceback (most recent call last):
    services.aggregate.core.tally.RepeatedNonce: chunks that are not in nonce order
    """
    rest = iter(tallies)
    first = next(rest)
    exact_counts, counted, withdrawn = first.exact_counts.copy(), first.counted, first.withdrawn
    rejected, outcomes, nonces = Counter(first.rejected), bytearray(first.outcomes), first.nonces
    for tally in rest:
        nonces = _after(nonces, tally.nonces)
        exact_counts += tally.exact_counts
        counted, withdrawn = counted + tally.counted, withdrawn + tally.withdrawn
        rejected.update(tally.rejected)
        outcomes += tally.outcomes
    put_in_order(outcomes)
    return Tally(exact_counts, counted, withdrawn, _in_order(rejected), outcomes, nonces)


def _after(
    before: tuple[bytes, bytes] | None, spent: tuple[bytes, bytes] | None
) -> tuple[bytes, bytes] | None:
    """Return the range of nonces of chunks that follow each other without a common nonce."""
    if before is None or spent is None:
        return before or spent
    if spent[0] <= before[1]:
        raise RepeatedNonce("chunks that are not in nonce order")
    return before[0], spent[1]


class _Count:
    """The running count of one sheet; keys are read once."""

    def __init__(self, rules: SheetRules, opening_key: bytes) -> None:
        self._rules = rules
        self._tokens = token.Verifier(spki=rules.spki, challenge=rules.challenge)
        self._opener = Opener(
            opening_key, suite=rules.suite, manifest_hash=rules.manifest_hash, sheet=rules.sheet
        )
        self._certified = {
            commitments.encode_value(value): (value, commitment)
            for value, commitment in zip(rules.values, rules.commitments, strict=True)
        }
        # Secrets that were found to open their commitment: one for each value, shared by many sheets.
        self._secrets: dict[bytes, bytes] = {}
        self._counts = np.zeros((rules.sizes[0], rules.columns), dtype=np.int64)
        self._totals: Counter[Outcome] = Counter()
        self._rejected: Counter[str] = Counter()
        self._outcomes = bytearray()
        self._nonces: set[bytes] = set()

    def add(self, data: bytes) -> None:
        """Check one envelope and note what became of it."""
        outcome = self._judge(data)
        self._totals[outcome] += 1
        self._outcomes += leaf(receipt_hash(data), outcome)

    def tally(self) -> Tally:
        """Return what was counted so far."""
        outcomes = bytearray(self._outcomes)
        put_in_order(outcomes)
        return Tally(
            exact_counts=self._counts.copy(),
            counted=self._totals["counted"],
            withdrawn=self._totals["withdrawn"],
            rejected=_in_order(self._rejected),
            outcomes=outcomes,
            nonces=(min(self._nonces), max(self._nonces)) if self._nonces else None,
        )

    def _judge(self, data: bytes) -> Outcome:
        try:
            admitted, nonce = self._admit(data)
            if admitted.kind == envelope.WITHDRAWAL:
                return "withdrawn"
            cell = self._read(admitted.sealed, nonce)
        except _Rejected as rejection:
            self._rejected[str(rejection)] += 1
            return "rejected"
        if cell is not None:
            self._counts[cell] += 1
        return "counted"

    def _admit(self, data: bytes) -> tuple[envelope.Envelope, bytes]:
        """Check what can be checked without the opening key; return the fields and the spent nonce."""
        rules = self._rules
        try:
            fields = envelope.parse(data, length=rules.envelope_length, suite=rules.suite)
        except envelope.InvalidEnvelope:
            raise _Rejected("form") from None
        try:
            nonce = self._tokens.verify(fields.token)
        except token.InvalidToken:
            raise _Rejected("token") from None
        try:
            envelope.verify(fields, token_nonce=nonce)
        except envelope.InvalidEnvelopeSignature:
            raise _Rejected("signature") from None
        # Only now is the nonce spent: bytes that merely claim a nonce can't push its owner out.
        if nonce in self._nonces:
            raise _Rejected("duplicate")
        self._nonces.add(nonce)
        return fields, nonce

    def _read(self, sealed: bytes, nonce: bytes) -> Cell | None:
        """Return the cell a sealed sheet adds to; nothing for a blank.

        A copy under another token doesn't open: it would count one rep's answer twice. The nonce was
        found to be that of the key in the envelope.
        """
        rules = self._rules
        try:
            plaintext = self._opener.plaintext(sealed, nonce=nonce)
        except SealBroken:
            raise _Rejected("sealing") from None
        try:
            content = sheet.decode(plaintext, sizes=rules.sizes, length=rules.plaintext_length)
        except sheet.InvalidSheet:
            raise _Rejected("range") from None
        if content.blank:
            return None
        return content.fields[0], self._column(content.value, content.secret)

    def _column(self, value: bytes, secret: bytes) -> int:
        """Return the column of a value whose secret opens the commitment in the manifest."""
        if value not in self._certified:
            raise _Rejected("value")
        column, commitment = self._certified[value]
        if self._secrets.get(value) != secret:
            if commitments.commit(self._rules.sheet, value, secret) != commitment:
                raise _Rejected("commitment")
            self._secrets[value] = secret
        return column


def _in_order(rejected: Counter[str]) -> dict[str, int]:
    return {reason: rejected[reason] for reason in REASONS if rejected[reason]}
