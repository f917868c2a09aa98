"""What must hold after any number of kills, told from journals, databases, files and open addresses."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator

import httpx

from services.protocol.messages import ChainReply
from services.protocol.release import FIRST
from services.protocol.signed import Service
from tests.e2e.books import RELEASES, Promised, box, lost_since, strange_rows
from tests.e2e.journal import Used
from tests.e2e.killing import AT_STAKE, Outcome, living_workers
from tests.e2e.working import Finished

SETTLED_SECONDS = 90.0
WAITING = "SELECT count(*) FROM outbox WHERE NOT delivered"
LEDGER = "SELECT cycle, account, key, event, company, year, micro FROM ledger_line"
ACCOUNTS = "SELECT company, year, account, reserved_micro, committed_micro FROM ledger_account"
CHAIN = "SELECT company, sequence, hash, previous FROM release ORDER BY company, sequence"
CHAINED: tuple[Service, ...] = ("aggregate", "report")
MANIFESTS: dict[Service, str] = {
    "survey": "SELECT id, manifest FROM cycle WHERE manifest IS NOT NULL",
    "aggregate": "SELECT id, manifest FROM cycle WHERE manifest IS NOT NULL",
    "report": "SELECT cycle, signed FROM manifest",
}
Check = Callable[[Outcome], None]


def every_kill_was_made(outcome: Outcome) -> None:
    """Each target was killed as often as wanted, while there was something to lose."""
    made = Counter(kill.target for kill in outcome.kills)
    assert made == Counter(outcome.wanted), outcome
    assert outcome.finished, outcome
    assert min(kill.acknowledged for kill in outcome.kills) >= AT_STAKE, outcome


def no_acknowledged_sheet_is_lost(outcome: Outcome) -> None:
    """After each kill and at the end, the box holds what was acknowledged, or something newer."""
    assert [kill for kill in outcome.kills if kill.lost] == [], outcome
    now = Promised.of(outcome.journals, frozenset())
    assert now.sheets_count > 0, outcome
    assert lost_since(outcome.services, outcome.journals, now) == 0, outcome


def no_sheet_stands_twice(outcome: Outcome) -> None:
    """The box holds one envelope per token, each of them once, and none that no phone sent."""
    assert [kill for kill in outcome.kills if kill.doubled] == [], outcome
    assert strange_rows(outcome.services, outcome.journals) == 0, outcome


def phones_were_told_the_truth(outcome: Outcome) -> None:
    """No phone met a refusal or an answer it should not, and receipts still say yes after the release."""
    assert {each.cycle: each.faults for each in outcome.journals if each.faults} == {}, outcome
    for finished in outcome.finished:
        assert set(finished.stored.values()) <= {True}, outcome


def passes_were_given_once(outcome: Outcome) -> None:
    """Each link got one set of passes at most, and the frame counts exactly those."""
    for finished in outcome.finished:
        journal = finished.journal
        assert journal.sets_of_passes == journal.answered, outcome
        for totals in finished.release.sheets.values():
            assert journal.answered <= totals.issued <= journal.asked, outcome


def every_cycle_is_counted_as_its_phones_expect(outcome: Outcome) -> None:
    """Per token one published fate: that of the newest envelope that survey acknowledged, or a newer one."""
    rows = box(outcome.services)
    for finished in outcome.finished:
        found, held = (
            Counter(fates(finished)),
            Counter(row[0] for row in rows.get(finished.journal.cycle, [])),
        )
        for name, totals in finished.release.sheets.items():
            expected = (found[name, "counted"], found[name, "withdrawn"])
            assert (totals.counted, totals.withdrawn) == expected, outcome
            assert totals.rejected == {}, outcome
            assert totals.received == held[name], outcome


def fates(finished: Finished) -> Iterator[tuple[str, str]]:
    """Yield sheet and outcome of every token that ended in the box."""
    lists = {name: dict(listed) for name, listed in finished.outcomes.items()}
    for used in finished.journal.tokens().values():
        published = {
            each: lists[used.sheet].pop(each) for each in used.envelopes if each in lists[used.sheet]
        }
        assert len(published) == 1 or (published == {} and used.acknowledged < 0)
        yield from ((used.sheet, checked(used, *each)) for each in published.items())
    assert all(listed == {} for listed in lists.values()), "a published sheet that no phone sent"


def checked(used: Used, envelope_hash: bytes, outcome: str) -> str:
    """Return the outcome of an envelope, after checking that it is the one expected."""
    sent = used.envelopes[envelope_hash]
    assert sent.counter >= used.acknowledged
    assert outcome == sent.outcome
    return outcome


def every_cycle_is_released_once(outcome: Outcome) -> None:
    """Whoever saw a release of a cycle saw the same one, at aggregate and at report."""
    wait_until_delivered(outcome)
    seen = {each.cycle: set(each.releases) for each in outcome.journals}
    assert all(len(hashes) == 1 for hashes in seen.values()), outcome
    expected = sorted((cycle, hashed) for cycle, hashes in seen.items() for hashed in hashes)
    for service in CHAINED:
        assert sorted(outcome.services.query(service, RELEASES)) == expected, outcome


def every_charge_stands_once(outcome: Outcome) -> None:
    """Each released cycle was reserved and committed once per account, and the accounts are their sums."""
    expected, sums = Counter[tuple[object, ...]](), Counter[tuple[object, ...]]()
    for finished in outcome.finished:
        for line in finished.release.ledger:
            for event in ("reserved", "committed"):
                expected[finished.journal.cycle, line.account, line.key, event, line.epsilon_micro] += 1
    for cycle, account, key, event, company, year, micro in outcome.services.query("aggregate", LEDGER):
        expected[cycle, account, key, event, micro] -= 1
        sums[company, year, account, event] += int(str(micro))
    assert set(expected.values()) == {0}, outcome
    for row in outcome.services.query("aggregate", ACCOUNTS):
        assert row[3:] == (0, sums[(*row[:3], "committed")]), outcome


def every_cycle_has_one_manifest(outcome: Outcome) -> None:
    """The three services hold the manifest that the phones checked."""
    expected = {each.cycle: each.opened.manifest.model_dump(mode="json") for each in outcome.journals}
    for service, statement in MANIFESTS.items():
        found = outcome.services.query(service, statement)
        held = {str(cycle): json.loads(str(signed))["document"] for cycle, signed in found}
        assert len(found) == len(held), outcome
        assert held == expected, outcome


def the_chains_are_one(outcome: Outcome) -> None:
    """Per company report's chain has no gap and is that of aggregate, release for release."""
    wait_until_delivered(outcome)
    chains = {name: outcome.services.query(name, CHAIN) for name in CHAINED}
    assert chains["aggregate"] == chains["report"], outcome
    heads: dict[object, tuple[object, object]] = {}
    for company, sequence, hashed, previous in chains["report"]:
        length, head = heads.get(company, (0, FIRST))
        assert (sequence, previous) == (int(str(length)) + 1, head), outcome
        heads[company] = (sequence, hashed)
    with outcome.services.signed("aggregate", "report") as report:
        for company, (length, head) in heads.items():
            reply = report.get("/internal/chain", params={"company": str(company)})
            assert ChainReply.model_validate(reply.json()) == ChainReply(
                head=str(head), length=int(str(length))
            )


def no_opening_key_outlives_its_cycle(outcome: Outcome) -> None:
    """All cycles are released, so none of their opening keys is on disk."""
    folder = outcome.services.folder / "aggregate" / "opening-keys"
    assert {path.name for path in folder.iterdir()} & {each.cycle for each in outcome.journals} == set(), (
        outcome
    )


def every_service_is_ready_again(outcome: Outcome) -> None:
    """Nothing is left that an operator would have to look after."""
    deadline = time.monotonic() + SETTLED_SECONDS
    with httpx.Client(timeout=30.0, trust_env=False) as client:
        for name in outcome.services.processes:
            while (answer := client.get(f"{outcome.services.url(name)}/readyz")).status_code != 200:
                assert time.monotonic() < deadline, f"{outcome}: {name} says {answer.text}"
                time.sleep(0.5)


def no_worker_outlives_its_service(outcome: Outcome) -> None:
    """The processes that had an opening key in memory are gone."""
    assert outcome.workers, outcome
    deadline = time.monotonic() + SETTLED_SECONDS
    while living_workers(outcome) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert living_workers(outcome) == set(), outcome


def wait_until_delivered(outcome: Outcome) -> None:
    """Wait until report has acknowledged every release; aggregate tries at growing pauses."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while outcome.services.query("aggregate", WAITING) != [(0,)]:
        assert time.monotonic() < deadline, f"{outcome}: a release does not reach report"
        time.sleep(0.2)


CHECKS: tuple[Check, ...] = (
    every_kill_was_made,
    no_acknowledged_sheet_is_lost,
    no_sheet_stands_twice,
    phones_were_told_the_truth,
    passes_were_given_once,
    every_cycle_is_counted_as_its_phones_expect,
    every_cycle_is_released_once,
    every_charge_stands_once,
    every_cycle_has_one_manifest,
    the_chains_are_one,
    no_opening_key_outlives_its_cycle,
    every_service_is_ready_again,
    no_worker_outlives_its_service,
)
