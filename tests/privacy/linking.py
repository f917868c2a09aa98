"""The attack on the order of arrival: a thief tries to match envelopes to reps by traces of it.

Reps come one after the other: each takes a pass, then sends its envelopes. The thief knows that, and what
to look for: everything random that is stored begins with ``MARK``, so that one search finds all of it.
"""

import math
import secrets
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.survey.core.cycle import State
from services.survey.inbox import Arrival
from services.survey.store import Store
from services.survey.tables import Cycle

# Few enough that SQLite's write-ahead log has not started over: the thief sees all of it.
REPS, SHEETS, ROUNDS = 30, 3, 4
CYCLE = "c" * 16
MARK = secrets.token_bytes(8)
VALUE = 32
FALSE_ALARM = 1e-6


@dataclass(frozen=True)
class Traces:
    """Where the thief found each pass (by number) and each envelope (by nonce): any order of places."""

    passes: Mapping[int, Any]
    envelopes: Mapping[bytes, Any]


@dataclass(frozen=True)
class Stolen:
    """What the thief looks for, in an order that tells nothing; ``owner`` is the truth."""

    passes: dict[int, bytes]
    owner: dict[bytes, int]
    envelopes: dict[bytes, bytes]
    arrivals: list[Arrival]

    def places(self, of: Mapping[bytes, Any]) -> Traces:
        """Return the traces in a list of places by value; what is in none of them comes last."""
        last = (math.inf,)
        return Traces(
            {number: of.get(value, last) for number, value in self.passes.items()},
            {nonce: of.get(nonce, last) for nonce in self.owner},
        )


def marked(size: int = VALUE) -> bytes:
    """Return random bytes that the thief recognises."""
    return MARK + secrets.token_bytes(size - len(MARK))


def shuffled(values: Sequence[Any]) -> list[Any]:
    """Return values in a random order."""
    return secrets.SystemRandom().sample(values, len(values))


def collect(
    store: Store, *, envelope_bytes: int = 620, halfway: Callable[[], object] = lambda: None
) -> Stolen:
    """Have reps take passes and send envelopes one after the other; do something ``halfway``."""
    store.add_cycle(Cycle(id=CYCLE, state=State.OPEN, draft="{}"), [])
    passes, owner, arrivals = {}, {}, []
    for place, number in enumerate(shuffled(range(REPS))):
        passes[number] = marked()
        assert store.take_pass(CYCLE, number, passes[number]) == passes[number]
        for sheet in range(SHEETS):
            arrival = Arrival(CYCLE, f"sheet-{sheet}", marked(), 1, marked(), marked(envelope_bytes))
            owner[arrival.nonce] = number
            arrivals.append(arrival)
            assert store.put_envelopes([arrival]) == ["stored"]
        if place == REPS // 2:
            halfway()
    return Stolen(
        {number: passes[number] for number in shuffled(range(REPS))},
        {arrival.nonce: owner[arrival.nonce] for arrival in shuffled(arrivals)},
        {arrival.nonce: arrival.envelope[:VALUE] for arrival in arrivals},
        arrivals,
    )


def values_in(data: bytes) -> list[tuple[int, bytes]]:
    """Return what lies in bytes, with its offset."""
    found, at = [], data.find(MARK)
    while at >= 0:
        found.append((at, data[at : at + VALUE]))
        at = data.find(MARK, at + 1)
    return found


def matched_in_order(traces: Traces, stolen: Stolen) -> float:
    """Return the share of envelopes whose rep is guessed right from both orders alone."""
    reps, nonces = _ordered(traces.passes), _ordered(traces.envelopes)
    guesses = {nonce: reps[place * REPS // len(nonces)] for place, nonce in enumerate(nonces)}
    return _right(guesses, stolen)


def matched_just_before(traces: Traces, stolen: Stolen) -> float:
    """Return the share that is guessed right if the rep's pass is the last one before its envelope."""
    reps = _ordered(traces.passes)
    places = [traces.passes[number] for number in reps]
    guesses = {
        nonce: reps[max(0, bisect_right(places, place) - 1)] for nonce, place in traces.envelopes.items()
    }
    return _right(guesses, stolen)


def rank_correlation(traces: Traces, stolen: Stolen) -> float:
    """Return the rank correlation of the places of passes with those of their envelopes."""
    place = {number: rank for rank, number in enumerate(_ordered(traces.passes))}
    pairs = [(place[stolen.owner[nonce]], rank) for rank, nonce in enumerate(_ordered(traces.envelopes))]
    mean_x = sum(x for x, _ in pairs) / len(pairs)
    mean_y = sum(y for _, y in pairs) / len(pairs)
    cross = sum((x - mean_x) * (y - mean_y) for x, y in pairs)
    spread_x = sum((x - mean_x) ** 2 for x, _ in pairs)
    spread_y = sum((y - mean_y) ** 2 for _, y in pairs)
    return float(cross / (spread_x * spread_y) ** 0.5)


@dataclass(frozen=True)
class Figures:
    """What the attack achieved over several collections, on average."""

    in_order: float
    just_before: float
    correlation: float

    @property
    def works(self) -> bool:
        """Whether order tells nearly everything."""
        return self.in_order > 0.8 and self.correlation > 0.9

    @property
    def is_chance(self) -> bool:
        """Whether the figures are what blind guessing achieves; each one fails once in a million rounds."""
        return (
            max(self.in_order, self.just_before) <= highest_by_chance()
            and abs(self.correlation) < correlated_by_chance()
        )


def achieved(rounds: Sequence[tuple[Traces, Stolen]]) -> Figures:
    """Return what the attack achieves over collections, on average."""
    figures = [
        (matched_in_order(*each), matched_just_before(*each), rank_correlation(*each)) for each in rounds
    ]
    return Figures(*(sum(column) / len(rounds) for column in zip(*figures, strict=True)))


def highest_by_chance() -> float:
    """Return a share of right guesses that chance exceeds less often than ``FALSE_ALARM``.

    Guessing blindly is right once in REPS. Guesses within a rep's block depend on each other, so each
    block of SHEETS is bounded as if it were right or wrong as a whole, over all rounds (Chernoff).
    """
    mean = bound = float(ROUNDS)
    while math.exp(bound - mean) * (mean / bound) ** bound > FALSE_ALARM:
        bound += 0.5
    return bound / (REPS * ROUNDS)


def correlated_by_chance() -> float:
    """Return a mean rank correlation that chance exceeds less often than ``FALSE_ALARM``.

    Ranks of 30 independent reps correlate with a deviation of about 1 / sqrt(29), the mean of four rounds
    with half of that; 5 deviations are exceeded 6 times in ten million.
    """
    return float(5 / ((REPS - 1) * ROUNDS) ** 0.5)


def _ordered(places: Mapping[Any, Any]) -> list[Any]:
    return sorted(places, key=lambda each: places[each])


def _right(guesses: Mapping[bytes, int], stolen: Stolen) -> float:
    right = sum(guesses[nonce] == owner for nonce, owner in stolen.owner.items())
    return right / len(stolen.owner)
