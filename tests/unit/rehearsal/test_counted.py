"""The Python phone after the release: it believes what the signed release proves, and nothing else."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.protocol import receipts, signed
from services.protocol.encoding import b64, canonical
from services.protocol.frame import Frame, Records, SheetCounts
from services.protocol.receipts import Outcome, list_digits, list_root, receipt_hash
from services.protocol.release import FIRST, Release, SheetTotals
from services.rehearsal.phone import Phone, Refused, Response, fetch_release
from tests.unit.rehearsal.fake_survey import AGGREGATE, CYCLE, PLAN, FakeServices

Lines = list[tuple[bytes, Outcome]]
Change = Callable[[dict[str, Any]], object]
RESPONSE = Response({f"S{i}": 1 for i in range(1, 7)}, flag=3)
FEW, MANY = 5, 4200
MADE_UP = [(receipt_hash(number.to_bytes(4, "big")), receipts.OUTCOMES[number % 3]) for number in range(MANY)]


class Released(FakeServices):
    """The fake services after the close: aggregate serves a signed release and the lists behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: dict[str, Lines] = {}
        self.signer = self.keys["aggregate"]
        self.release_changes: Change = lambda document: None

    def close(self, others: int, *, outcome: Outcome = "counted") -> None:
        """Count the box beside ``others`` made-up envelopes per sheet."""
        self.lists = {name: list(MADE_UP[:others]) for name in PLAN.sheets}
        for data in self.box.values():
            name = self.sheet_of(self.parsed(data))
            self.lists[name].append((receipt_hash(data), outcome))

    @property
    def digits(self) -> int:
        """By how many digits the lists are asked."""
        return list_digits(len(lines) for lines in self.lists.values())

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Serve release and lists, or what the services serve before the close."""
        if request.url.host != AGGREGATE.removeprefix("https://"):
            return super().answer(request)
        if request.url.path == f"/api/releases/{CYCLE}":
            return httpx.Response(200, json=self.signed_release())
        rest = request.url.path.removeprefix(f"/api/cycles/{CYCLE}/receipts")
        if rest == request.url.path:
            return super().answer(request)
        reply = self.bucket(rest.removeprefix("/"))
        if "lists" in self.changes:
            self.changes["lists"](reply)
        return httpx.Response(200, json=reply)

    def bucket(self, prefix: str) -> dict[str, Any]:
        """Return one bucket of every list, with the roots of all."""
        assert len(prefix) == self.digits
        return {
            "digits": self.digits,
            "sheets": {
                name: [
                    [line.hex(), outcome] for line, outcome in sorted(lines) if line.hex().startswith(prefix)
                ]
                for name, lines in self.lists.items()
            },
            "bucket_roots": {
                name: [
                    receipts.bucket_root([line for line in lines if line[0].hex().startswith(each)]).hex()
                    for each in receipts.prefixes(self.digits)
                ]
                for name, lines in self.lists.items()
            },
        }

    def signed_release(self) -> dict[str, Any]:
        """Return the release with aggregate's signature."""
        frame = Frame(
            cycle=CYCLE,
            manifest_hash=self.manifest.hash().hex(),
            closed="2026-01-15T00:00:00Z",
            sheets={name: SheetCounts(issued=1, received=len(lines)) for name, lines in self.lists.items()},
            records=Records.model_validate(NO_RECORDS),
        )
        release = Release(
            kind="release",
            cycle=CYCLE,
            company=self.manifest.company,
            manifest_hash=self.manifest.hash().hex(),
            previous=FIRST,
            released_on="2026-01-15",
            sheets={name: totals(lines, self.digits) for name, lines in self.lists.items()},
            tables=(),
            groups=(),
            ledger=(),
            frame=frame,
        )
        document = release.model_dump(mode="json")
        self.release_changes(document)
        body = signed.message("release", canonical(document))
        return {"document": document, "signatures": {"aggregate": b64(self.signer.sign(body))}}


NO_RECORDS: dict[str, Any] = {
    "frame": 0,
    "hit_share": None,
    "attainment": None,
    "activity_by_attainment": None,
    "icc_attainment": None,
    "mean_team_size": None,
    "indicators": [],
    "groups": [],
    "notes": [],
}


def totals(lines: Lines, digits: int) -> SheetTotals:
    """Return what a release says of a list."""
    counts = Counter(outcome for _, outcome in lines)
    return SheetTotals(
        issued=len(lines),
        received=len(lines),
        counted=counts["counted"],
        withdrawn=counts["withdrawn"],
        rejected={"sealing": counts["rejected"]} if counts["rejected"] else {},
        receipts_root=list_root(lines, digits).hex(),
    )


async def closed(others: int, outcome: Outcome = "counted") -> tuple[Released, Phone]:
    """Return services that closed a cycle in which one phone took part."""
    fake = Released()
    phone = await fake.phone()
    await phone.take_part(RESPONSE)
    fake.close(others, outcome=outcome)
    return fake, phone


async def ask(phone: Phone) -> dict[str, Outcome | None]:
    """Do what a phone does after the release."""
    return await phone.check_counted(await fetch_release(phone.line, phone.view))


@pytest.mark.parametrize("others", [FEW, MANY])
@pytest.mark.parametrize("outcome", receipts.OUTCOMES)
def test_a_phone_learns_what_became_of_each_sheet(others: int, outcome: Outcome) -> None:
    async def journey() -> dict[str, Outcome | None]:
        _, phone = await closed(others, outcome)
        return await ask(phone)

    assert asyncio.run(journey()) == dict.fromkeys(PLAN.sheets, outcome)


@pytest.mark.parametrize("others", [FEW, MANY])
def test_a_lost_sheet_is_noticed(others: int) -> None:
    async def journey() -> dict[str, Outcome | None]:
        fake, phone = await closed(others)
        fake.lists[PLAN.sheets[0]].pop()
        return await ask(phone)

    expected = dict.fromkeys(PLAN.sheets, "counted") | {PLAN.sheets[0]: None}
    assert asyncio.run(journey()) == expected


def test_a_repetition_in_the_box_does_not_hide_what_counted() -> None:
    async def journey() -> dict[str, Outcome | None]:
        fake, phone = await closed(FEW)
        for lines in fake.lists.values():
            lines.insert(0, (lines[-1][0], "rejected"))
        return await ask(phone)

    assert asyncio.run(journey()) == dict.fromkeys(PLAN.sheets, "counted")


def test_long_lists_are_asked_by_bucket_each_once() -> None:
    fake, phone = asyncio.run(closed(MANY))
    asyncio.run(ask(phone))
    asked = [request.url.path.split("/")[-1] for request in fake.sent("receipts")]
    mine = {receipt_hash(data).hex()[0] for data in fake.box.values()}
    assert sorted(asked) == sorted(mine)
    assert all(len(prefix) == 1 for prefix in asked)


def first(lists: dict[str, Any], part: str) -> Any:
    """Return one sheet's part of a reply."""
    return lists[part][PLAN.sheets[0]]


def rewritten(reply: dict[str, Any]) -> None:
    """Leave a line out and make the root of its bucket again, so that only the release tells."""
    left_out, _ = first(reply, "sheets").pop(0)
    lines = [(bytes.fromhex(text), outcome) for text, outcome in first(reply, "sheets")]
    at = receipts.prefixes(reply["digits"]).index(left_out[: reply["digits"]])
    first(reply, "bucket_roots")[at] = receipts.bucket_root(lines).hex()


LIES: dict[str, Change] = {
    "a list that was written again": rewritten,
    "a line left out": lambda reply: first(reply, "sheets").pop(0),
    "a line made up": lambda reply: first(reply, "sheets").append(["0" * 64, "counted"]),
    "another outcome": lambda reply: first(reply, "sheets")[0].__setitem__(
        1, "rejected" if first(reply, "sheets")[0][1] == "counted" else "counted"
    ),
    "a hash in capitals": lambda reply: first(reply, "sheets")[0].__setitem__(0, "A" * 64),
    "another bucket root": lambda reply: first(reply, "bucket_roots").__setitem__(0, "0" * 64),
    "no bucket root": lambda reply: first(reply, "bucket_roots").clear(),
    "a list left out": lambda reply: reply["sheets"].pop(PLAN.sheets[0]),
    "roots left out": lambda reply: reply["bucket_roots"].pop(PLAN.sheets[0]),
}


@pytest.mark.parametrize("others", [FEW, MANY])
@pytest.mark.parametrize("lie", LIES)
def test_lists_that_the_release_does_not_prove_are_refused(lie: str, others: int) -> None:
    async def journey() -> None:
        fake, phone = await closed(others)
        fake.changes["lists"] = LIES[lie]
        with pytest.raises(Refused):
            await ask(phone)

    asyncio.run(journey())


def test_lists_that_fit_the_roots_but_not_the_totals_are_refused() -> None:
    async def journey() -> None:
        fake, phone = await closed(FEW)
        fake.release_changes = lambda document: first(document, "sheets").update(
            counted=first(document, "sheets")["counted"] + 1,
            withdrawn=first(document, "sheets")["withdrawn"] - 1,
        )
        with pytest.raises(Refused, match="add up"):
            await ask(phone)

    asyncio.run(journey())


RELEASES: dict[str, tuple[str, Change]] = {
    "another cycle": ("another cycle", lambda document: document.update(cycle="autumn-24")),
    "another manifest": ("another cycle", lambda document: document.update(manifest_hash="0" * 64)),
    "a sheet less": ("does not count", lambda document: document["sheets"].pop(PLAN.sheets[0])),
    "totals that do not add up": (
        "contradicts",
        lambda document: first(document, "sheets").update(counted=0),
    ),
    "an unknown field": ("contradicts", lambda document: document.update(seed=1)),
    "a root that is none": (
        "not the one",
        lambda document: first(document, "sheets").update(receipts_root="x"),
    ),
}


@pytest.mark.parametrize("lie", RELEASES)
def test_a_release_that_is_not_that_of_the_cycle_is_refused(lie: str) -> None:
    words, change = RELEASES[lie]

    async def journey() -> None:
        fake, phone = await closed(FEW)
        fake.release_changes = change
        with pytest.raises(Refused, match=words):
            await ask(phone)

    asyncio.run(journey())


def test_a_release_of_another_signer_is_refused() -> None:
    async def journey() -> None:
        fake, phone = await closed(FEW)
        for key in (fake.keys["survey"], Ed25519PrivateKey.generate()):
            fake.signer = key
            with pytest.raises(Refused, match="not signed"):
                await ask(phone)

    asyncio.run(journey())


def test_a_release_is_checked_against_the_pinned_key() -> None:
    async def journey() -> None:
        fake, phone = await closed(FEW)
        elsewhere = replace(phone.view, aggregate_key=fake.pinned.survey)
        with pytest.raises(Refused, match="not signed"):
            await fetch_release(fake.line(), elsewhere)

    asyncio.run(journey())
