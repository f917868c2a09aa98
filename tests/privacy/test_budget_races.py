"""Many at the door at once: exactly what is affordable is granted, and a cloned cycle pays each time."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import httpx
import pytest

from services.protocol.encoding import canonical
from services.protocol.messages import LedgerReply, Proposal
from services.protocol.plan import CAP_ANSWERS_MICRO
from tests import stores
from tests.flow.aggregate.factories import BALANCED, COMPANY, SMALL, make_groups, make_proposal
from tests.flow.aggregate.world import Running, World
from tests.privacy.ledgers import books, check_books

ASKED, AFFORDABLE, CLONES = 200, 10, 20
TENTH = CAP_ANSWERS_MICRO // AFFORDABLE
SPELLINGS = (COMPANY, COMPANY.upper(), f" {COMPANY}\t", COMPANY.replace(" ", "\u00a0"), f"{COMPANY}\u200b")


@pytest.fixture(scope="module", params=stores.KINDS)
def store_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have databases of one kind lent."""
    with stores.kind(request.param):
        yield request.param


@pytest.fixture
def world(store_kind: str, tmp_path: Path) -> Iterator[World]:
    """Return a world whose databases are closed at the end."""
    made = World(tmp_path / "aggregate")
    yield made
    made.stop()


def tenth_of_a_year(cycle: str) -> Proposal:
    """Return a cycle that costs a tenth of a year's answers, participation and delta alike."""
    table = SMALL.tables[0].model_copy(update={"epsilon_micro": TENTH})
    plan = SMALL.model_copy(update={"tables": (table,), "coin_epsilon_micro": TENTH, "coin_delta": 1e-6})
    return make_proposal(cycle, plan=plan)


def propose(running: Running, proposal: Proposal) -> httpx.Response:
    """Ask for a cycle at survey's door of the service."""
    return running.call("POST", "/internal/cycles", canonical(proposal.model_dump(mode="json")))


def reserved(running: Running) -> dict[str, int]:
    """Return what the service says is reserved."""
    answer = running.call("GET", f"/internal/ledger?company={COMPANY.replace(' ', '+')}&year=2026")
    accounts = LedgerReply.model_validate_json(answer.content).accounts
    return {one.account: one.reserved_micro for one in accounts}


def test_of_200_parallel_requests_exactly_the_10_affordable_ones_are_granted(world: World) -> None:
    proposals = [tenth_of_a_year(f"cycle-{number}") for number in range(ASKED)]
    together = Barrier(ASKED, timeout=60)

    def ask(proposal: Proposal) -> tuple[int, str]:
        together.wait()
        answer = propose(running, proposal)
        while answer.status_code == 503:
            # Nothing was stored; whoever is told to wait asks again.
            answer = propose(running, proposal)
        return answer.status_code, answer.json().get("type", "")

    with world.service() as running:
        with ThreadPoolExecutor(ASKED) as threads:
            outcomes = Counter(threads.map(ask, proposals))
        assert outcomes == {
            (201, ""): AFFORDABLE,
            (409, "urn:fairpatch:problem:budget"): ASKED - AFFORDABLE,
        }
        assert reserved(running) == {"answers": CAP_ANSWERS_MICRO, "participation": CAP_ANSWERS_MICRO}
    check_books(books(world))
    assert len(world.key_files()) == AFFORDABLE


def test_a_cycle_cloned_20_times_stays_within_the_cap(world: World) -> None:
    """The same roster and plan under other cycle names, in other spellings of the company's name."""
    groups = make_groups((90, 80))
    clones = [
        make_proposal(
            f"clone-{number}",
            company=SPELLINGS[number % len(SPELLINGS)],
            plan=BALANCED,
            invited=170,
            groups=groups,
        )
        for number in range(CLONES)
    ]
    with world.service() as running:
        granted = [clone for clone in clones if propose(running, clone).status_code == 201]
        again = [propose(running, clone).status_code for clone in clones]
        cost = BALANCED.answers_micro
        assert len(granted) == CAP_ANSWERS_MICRO // cost
        assert again == [201 if clone in granted else 409 for clone in clones]
        assert reserved(running) == {
            "answers": len(granted) * cost,
            "participation": len(granted) * BALANCED.participation_micro,
        }
    found = books(world)
    check_books(found)
    assert len({company for company, _ in found.accounts}) == 1
