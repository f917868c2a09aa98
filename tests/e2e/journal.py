"""What the phones of one cycle sent, and what was acknowledged to them: kept by the client alone.

Everything a service promised by its reply is noted here the moment it arrives, and held against the
databases, the receipts and the release later. Nothing is noted that was not said.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock

from services.protocol import signed, token
from services.protocol.envelope import ANSWERS, nonce, parse
from services.protocol.messages import ReceiptReply, TokenReply
from services.protocol.receipts import Outcome, receipt_hash
from services.rehearsal.phone import CycleView, Declined, Line

ALWAYS = {"pass-used", "envelope-stale"}
"""What a second phone under one link, or an older envelope, may be told at any time."""
ONCE_CLOSING = {"link", "cycle-state"}
"""What phones may be told from the moment that HR asks for the close."""
Row = tuple[str, bytes, int, bytes]
"""What the box holds under one token: sheet, nonce, counter and hash of the envelope."""


@dataclass
class Sent:
    """One envelope that left a phone."""

    counter: int
    kind: int
    acknowledged: bool = False

    @property
    def outcome(self) -> Outcome:
        """What becomes of it at the close, if it is the one in the box."""
        return "counted" if self.kind == ANSWERS else "withdrawn"


@dataclass
class Used:
    """All envelopes under one token, by hash."""

    sheet: str
    envelopes: dict[bytes, Sent] = field(default_factory=dict)

    @property
    def acknowledged(self) -> int:
        """The highest acknowledged counter, or -1."""
        return max((sent.counter for sent in self.envelopes.values() if sent.acknowledged), default=-1)

    @property
    def settled(self) -> bytes | None:
        """The hash of the newest envelope, if it was acknowledged: then the box holds this one."""
        newest = max(self.envelopes, key=lambda each: self.envelopes[each].counter)
        return newest if self.envelopes[newest].acknowledged else None

    def may_hold(self, counter: int, envelope_hash: bytes, *, least: int) -> bool:
        """Return whether the box may hold this: something that was sent, not older than acknowledged."""
        sent = self.envelopes.get(envelope_hash)
        return sent is not None and sent.counter == counter >= least


class Journal:
    """One cycle, as its phones saw it. Safe to read while it is written."""

    def __init__(self, cycle: str, company: str) -> None:
        self.cycle, self.company = cycle, company
        self.view: CycleView | None = None
        self.closing = False
        self.releases: set[str] = set()
        self.faults: list[str] = []
        self._tokens: dict[bytes, Used] = {}
        self._asked: set[str] = set()
        self._answers: dict[str, dict[str, str]] = {}
        self._lock = Lock()

    @property
    def opened(self) -> CycleView:
        """The manifest that the phones checked."""
        assert self.view is not None
        return self.view

    @property
    def asked(self) -> int:
        """How many links were used to ask for passes."""
        return len(self._asked)

    @property
    def answered(self) -> int:
        """How many links got passes."""
        return len(self._answers)

    @property
    def sets_of_passes(self) -> int:
        """How many different sets of passes were handed out, over all links."""
        return sum(len(answers) for answers in self._answers.values())

    def tokens(self) -> dict[bytes, Used]:
        """Return what was sent so far, by nonce."""
        with self._lock:
            return {key: Used(used.sheet, dict(used.envelopes)) for key, used in self._tokens.items()}

    def acknowledged(self) -> dict[bytes, int]:
        """Return the highest acknowledged counter of each token that has one."""
        with self._lock:
            counters = {key: used.acknowledged for key, used in self._tokens.items()}
        return {key: counter for key, counter in counters.items() if counter >= 0}

    def lost(self, rows: Iterable[Row], before: dict[bytes, int]) -> int:
        """Return how many of the sheets acknowledged ``before`` the box does not hold (or a newer one)."""
        tokens, held = self.tokens(), {row[1]: (row[2], row[3]) for row in rows}
        return sum(
            key not in held or not tokens[key].may_hold(*held[key], least=least)
            for key, least in before.items()
        )

    def strange(self, rows: Sequence[Row]) -> int:
        """Return how many rows of the box stand there twice, or hold what no phone sent under that token."""
        tokens = self.tokens()
        unknown = sum(
            row[1] not in tokens
            or tokens[row[1]].sheet != row[0]
            or not tokens[row[1]].may_hold(row[2], row[3], least=-1)
            for row in rows
        )
        return unknown + sum(len(rows) - len({row[at] for row in rows}) for at in (1, 3))

    def request_leaves(self, call: str, body: bytes) -> None:
        """Note what a phone is about to send."""
        if call == "tokens":
            self._asked.add(json.loads(body)["code"])
        if call == "envelopes":
            sent = parse(body, length=self.opened.manifest.envelope_length, suite=self.opened.manifest.suite)
            with self._lock:
                used = self._tokens.setdefault(nonce(sent.public_key), Used(self._sheet_of(sent.token)))
                used.envelopes.setdefault(receipt_hash(body), Sent(sent.counter, sent.kind))

    def reply_comes(self, call: str, body: bytes, reply: bytes) -> None:
        """Note what a service promised by its reply."""
        if call == "tokens":
            self._note_passes(json.loads(body), reply)
        if call == "envelopes":
            self._note_receipt(body, ReceiptReply.model_validate_json(reply))

    def refused(self, call: str, kind: str) -> None:
        """Note a refusal, if it is one that these phones must not meet."""
        if kind not in ALWAYS and not (self.closing and kind in ONCE_CLOSING):
            self.faults.append(f"{call} was refused: {kind}")

    def release_seen(self, release_hash: str) -> None:
        """Note the hash of a release that somebody was shown."""
        self.releases.add(release_hash)

    def _note_passes(self, request: dict[str, object], reply: bytes) -> None:
        signatures = TokenReply.model_validate_json(reply).signatures
        asked, got = (digest(each) for each in (request["blinded"], signatures))
        answers = self._answers.setdefault(str(request["code"]), {})
        if answers.setdefault(asked, got) != got:
            self.faults.append("the same blinded bytes got another answer")

    def _note_receipt(self, data: bytes, receipt: ReceiptReply) -> None:
        envelope_hash = receipt_hash(data)
        try:
            signed.check(self.opened.survey_key, "receipt", envelope_hash, receipt.signature)
        except signed.InvalidSignedDocument:
            self.faults.append("a receipt is not signed by survey")
            return
        length, suite = self.opened.manifest.envelope_length, self.opened.manifest.suite
        key = nonce(parse(data, length=length, suite=suite).public_key)
        with self._lock:
            self._tokens[key].envelopes[envelope_hash].acknowledged = True

    def _sheet_of(self, encoded: bytes) -> str:
        key_id = token.parse(encoded).key_id
        issuers = self.opened.issuers.items()
        return next(name for name, issuer in issuers if token.key_id(issuer.spki) == key_id)


class NotingLine(Line):
    """A phone's calls, with the journal looking on."""

    journal: Journal

    async def call(self, method: str, address: str, body: bytes = b"", media_type: str = "") -> bytes:
        """Make a call; note what leaves before it does, and what was promised once it is."""
        call = address.rpartition("/")[2]
        self.journal.request_leaves(call, body)
        try:
            reply = await super().call(method, address, body, media_type)
        except Declined as declined:
            self.journal.refused(call, declined.kind)
            raise
        self.journal.reply_comes(call, body, reply)
        return reply


def digest(value: object) -> str:
    """Return a short name for a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
