"""Counting: every sheet of a box is checked again in full, and adds to one cell or to nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.aggregate.core.chunks import NONCE_BYTES, InvalidChunk
from services.aggregate.core.opener import Opener, SealBroken
from services.aggregate.core.rules import SheetRules
from services.protocol import commitments, envelope, sheet, token
from services.protocol.receipts import Outcome, receipt_hash
from services.protocol.release import REASONS


class RepeatedNonce(ValueError):
    """Chunks that were counted apart hold sheets under one token; count the box as one chunk."""


class _Rejected(Exception):
    """A sheet that is not counted; carries its reason and nothing else."""


@dataclass(frozen=True, eq=False, repr=False)
class Tally:
    """What a box holds: exact counts, totals, and what became of each envelope.

    ``exact_counts`` has shape (field values, columns). A blank sheet is counted and adds to no cell.
    ``nonces`` are the spent ones, 32 bytes each, in one piece.
    """

    exact_counts: npt.NDArray[np.int64]
    counted: int
    withdrawn: int
    rejected: dict[str, int]
    outcomes: list[tuple[bytes, Outcome]]
    nonces: bytes

    @property
    def received(self) -> int:
        """All envelopes that were looked at."""
        return len(self.outcomes)

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


def merge(tallies: Sequence[Tally]) -> Tally:
    """Return the tally of chunks that were counted apart.

    Parameters
    ----------
    tallies : sequence of Tally
        At least one, all of one sheet.

    Returns
    -------
    Tally
        Sums, with the outcomes in the order given.

    Raises
    ------
    RepeatedNonce
        If two of them accepted sheets under one token, which only happens in a box that is not in
        nonce order. Counted as one chunk, the first stands and the others are rejected.

    Notes
    -----
    Privacy: exact; as for :func:`count_chunk`.
    Source: promise P8, one invited rep counts once.

    Examples
    --------
    >>> empty = Tally(np.zeros((3, 4), dtype=np.int64), 0, 0, {}, [], b"")
    >>> merge([empty, empty]).counted
    0
    """
    nonces = b"".join(tally.nonces for tally in tallies)
    if np.unique(np.frombuffer(nonces, dtype=f"V{NONCE_BYTES}")).size * NONCE_BYTES != len(nonces):
        raise RepeatedNonce("two chunks hold sheets under one token")
    rejected: Counter[str] = Counter()
    for tally in tallies:
        rejected.update(tally.rejected)
    return Tally(
        exact_counts=np.sum([tally.exact_counts for tally in tallies], axis=0, dtype=np.int64),
        counted=sum(tally.counted for tally in tallies),
        withdrawn=sum(tally.withdrawn for tally in tallies),
        rejected=_in_order(rejected),
        outcomes=[line for tally in tallies for line in tally.outcomes],
        nonces=nonces,
    )


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
        self._counts = np.zeros((rules.sizes[0], rules.columns), dtype=np.int64)
        self._totals: Counter[Outcome] = Counter()
        self._rejected: Counter[str] = Counter()
        self._outcomes: list[tuple[bytes, Outcome]] = []
        self._nonces: set[bytes] = set()

    def add(self, data: bytes) -> None:
        """Check one envelope and note what became of it."""
        outcome = self._judge(data)
        self._totals[outcome] += 1
        self._outcomes.append((receipt_hash(data), outcome))

    def tally(self) -> Tally:
        """Return what was counted so far."""
        return Tally(
            exact_counts=self._counts.copy(),
            counted=self._totals["counted"],
            withdrawn=self._totals["withdrawn"],
            rejected=_in_order(self._rejected),
            outcomes=list(self._outcomes),
            nonces=b"".join(sorted(self._nonces)),
        )

    def _judge(self, data: bytes) -> Outcome:
        try:
            admitted = self._admit(data)
            if admitted.kind == envelope.WITHDRAWAL:
                return "withdrawn"
            cell = self._read(admitted)
        except _Rejected as rejection:
            self._rejected[str(rejection)] += 1
            return "rejected"
        if cell is not None:
            self._counts[cell] += 1
        return "counted"

    def _admit(self, data: bytes) -> envelope.Envelope:
        """Check what can be checked without the opening key."""
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
        return fields

    def _read(self, admitted: envelope.Envelope) -> tuple[int, int] | None:
        """Return the cell a sealed sheet adds to; nothing for a blank.

        A copy under another token doesn't open: it would count one rep's answer twice.
        """
        rules = self._rules
        try:
            plaintext = self._opener.plaintext(admitted.sealed, nonce=envelope.nonce(admitted.public_key))
        except SealBroken:
            raise _Rejected("sealing") from None
        try:
            content = sheet.decode(plaintext, sizes=rules.sizes, length=rules.plaintext_length)
        except sheet.InvalidSheet:
            raise _Rejected("range") from None
        if content.blank:
            return None
        if content.value not in self._certified:
            raise _Rejected("value")
        column, commitment = self._certified[content.value]
        if commitments.commit(rules.sheet, content.value, content.secret) != commitment:
            raise _Rejected("commitment")
        return content.fields[0], column


def _in_order(rejected: Counter[str]) -> dict[str, int]:
    return {reason: rejected[reason] for reason in REASONS if rejected[reason]}
