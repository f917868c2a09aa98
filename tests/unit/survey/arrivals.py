"""Checked envelopes as the inbox takes them, and the simplest box one could think of."""

from services.protocol.encoding import sha256
from services.survey.inbox import Arrival

CYCLE, CLOSED, SHEET = "c0ffee00c0ffee00", "beef0000beef0000", "support-result"


def arrival(token: int = 0, counter: int = 1, content: int = 0, cycle: str = CYCLE) -> Arrival:
    """Return an envelope: its token, counter and content as small numbers."""
    envelope = f"{cycle} {token} {counter} {content}".encode()
    return Arrival(cycle, SHEET, sha256(str(token).encode()), counter, sha256(envelope), envelope)


class OneByOne:
    """A box that takes one envelope at a time and keeps the newest of each token."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, bytes], Arrival] = {}

    def put(self, coming: Arrival) -> str:
        """Return what becomes of one envelope."""
        if coming.cycle != CYCLE:
            return "closed"
        there = self.rows.get(coming[:3])
        if there is not None and there.envelope == coming.envelope:
            return "again"
        if there is not None and there.counter == coming.counter:
            return "conflict"
        if there is not None and there.counter > coming.counter:
            return "stale"
        self.rows[coming[:3]] = coming
        return "stored"
