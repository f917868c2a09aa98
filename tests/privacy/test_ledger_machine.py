"""The ledger against a model: any order of cycles, crashes, retries, two at once and restored backups.

Whatever happens, an account is the sum of its lines and within its cap, a release never changes once it
is written, and what report ever published of a company costs no more than a year's cap.
"""

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.aggregate.core.charges import company_key
from services.aggregate.core.ledger import BudgetExceeded
from services.aggregate.flow import Flow
from services.protocol.plan import CAP_ANSWERS_MICRO, CAP_PARTICIPATION_MICRO, Plan
from services.protocol.problems import Problem
from services.protocol.release import Release
from services.protocol.signed import SignedDocument
from tests import stores
from tests.flow.aggregate.doubles import Counts
from tests.flow.aggregate.factories import SMALL, make_proposal
from tests.flow.aggregate.world import Crash, World
from tests.privacy.ledgers import Backup, Books, books, check_books, restore, save, spent_by_releases
from tests.privacy.steps import Steps

COMPANIES = ("Acme", "ACME ", "Acme\u200b", "Beta")
"""Three spellings share one account."""

CAPS = {"answers": CAP_ANSWERS_MICRO, "participation": CAP_PARTICIPATION_MICRO}
HEAVY = SMALL.model_copy(
    update={"tables": tuple(t.model_copy(update={"epsilon_micro": 1_000_000}) for t in SMALL.tables)}
)
COSTLY_COIN = SMALL.model_copy(update={"coin_epsilon_micro": 3_000_000})
PLANS = (SMALL, HEAVY, COSTLY_COIN)
BLANKS = {sheet: [None] * 5 for sheet in SMALL.sheets}
"""Just enough sheets that tables are shown, so that a second draw would show."""

REFUSED = "an older copy was restored"


def asked(plan: Plan) -> dict[str, int]:
    """Return what a cycle of a plan costs, by account."""
    return {"answers": plan.answers_micro, "participation": plan.participation_micro}


class Ledger(RuleBasedStateMachine):
    """One aggregate with its report, and beside it what must be true of them."""

    cycles = Bundle("cycles")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.folder / "aggregate")
        self.number, self.drawn = 0, 0
        self.open: dict[str, tuple[str, Plan]] = {}
        self.written: dict[str, Release] = {}
        self.backup: Backup | None = None
        self.copies = 0
        self.flow: Flow

    @initialize()
    def start(self) -> None:
        """Start the service, or start it again on what is on disk."""
        self.parts = self.world.parts()
        self.parts.laplace = self.never_twice
        self.flow = self.world.flow(self.parts)
        self.flow.finish_destruction()

    def never_twice(self, counts: Counts, *, epsilon: float) -> Counts:
        """Stand in for the noise; no two draws are alike."""
        self.drawn += 1
        return counts + self.drawn

    def teardown(self) -> None:
        """Close and empty everything."""
        self.world.stop()
        shutil.rmtree(self.folder)

    def left(self, company: str, found: Books) -> dict[str, int]:
        """Return what the books leave of each account."""
        key = company_key(company)
        return {name: cap - sum(found.accounts.get((key, name), (0, 0))) for name, cap in CAPS.items()}

    @rule(
        target=cycles,
        company=st.sampled_from(COMPANIES),
        plan=st.sampled_from(PLANS),
        crash=st.integers(0, 12),
    )
    def propose(self, company: str, plan: Plan, crash: int) -> Any:
        """Propose a cycle: it is granted exactly if both accounts can pay; a crash leaves all or nothing."""
        self.number += 1
        proposal = make_proposal(f"cycle-{self.number}", company=company, plan=plan, k=5)
        left = self.left(company, books(self.world))
        affordable = all(micro <= left[name] for name, micro in asked(plan).items())
        with self.crashing(crash):
            granted = True
            try:
                self.flow.propose(proposal)
            except BudgetExceeded:
                granted = False
            assert granted == affordable
        if not affordable:
            return multiple()
        # A phone line breaks, a process dies: survey asks again, and pays once.
        manifest = self.world.opened(self.flow, proposal)
        self.world.survey.fill(manifest, BLANKS)
        self.world.survey.close(manifest.cycle)
        self.open[proposal.cycle] = (company, plan)
        return proposal.cycle

    @rule(cycle=cycles, crash=st.integers(0, 30), retries=st.integers(1, 3))
    def release(self, cycle: str, crash: int, retries: int) -> None:
        """Release a cycle, with a crash on the way and retries: once it is written it never changes."""
        with self.crashing(crash), suppress(Problem):
            self.flow.release(cycle)
        for _ in range(retries):
            with suppress(Problem):
                self.flow.release(cycle)

    @rule(cycle=cycles, crash=st.integers(0, 12))
    def void(self, cycle: str, crash: int) -> None:
        """Give a cycle up: its budget returns, unless it was released."""
        with self.crashing(crash), suppress(Problem):
            self.flow.void(cycle, "The wrong roster.")

    @rule(company=st.sampled_from(COMPANIES), plan=st.sampled_from(PLANS), at_once=st.integers(2, 5))
    def propose_at_once(self, company: str, plan: Plan, at_once: int) -> None:
        """Propose several cycles from several processes: as many are granted as can be paid."""
        left = self.left(company, books(self.world))
        affordable = min(left[name] // micro for name, micro in asked(plan).items())
        flows = [self.world.flow() for _ in range(2)]
        proposals = []
        for _ in range(at_once):
            self.number += 1
            proposals.append(make_proposal(f"cycle-{self.number}", company=company, plan=plan))

        def ask(place: int) -> bool:
            try:
                flows[place % 2].propose(proposals[place])
            except BudgetExceeded:
                return False
            return True

        with ThreadPoolExecutor(at_once) as threads:
            granted = list(threads.map(ask, range(at_once)))
        assert sum(granted) == min(at_once, affordable)

    def copy(self) -> Backup:
        """Return a backup in a folder of its own."""
        self.copies += 1
        return save(self.world, self.folder / f"backup-{self.copies}")

    @rule()
    def back_up(self) -> None:
        """Take a backup."""
        self.backup = self.copy()

    @precondition(lambda self: self.backup is not None)
    @rule()
    def restore_backup(self) -> None:
        """Put the backup back and start: where report knows of newer releases, nothing may be spent."""
        assert self.backup is not None
        self.restored(self.backup)

    @rule(cycle=cycles)
    def release_and_restore_what_was_before(self, cycle: str) -> None:
        """Release a cycle and go back to the moment before: what is missing is what report has."""
        before = self.copy()
        with suppress(Problem):
            self.flow.release(cycle)
        self.books_are_in_order()
        self.restored(before)

    def restored(self, backup: Backup) -> None:
        """Look what a restored ledger allows; then the operator brings the newest state back."""
        newest = self.copy()
        restore(self.world, backup)
        self.start()
        missing = [one for one in self.written.values() if one.hash().hex() not in backup.releases]
        if any(one.company in backup.companies for one in missing):
            for company in COMPANIES:
                with pytest.raises(Problem, match=REFUSED):
                    self.flow.propose(make_proposal("after-restoring", company=company, plan=SMALL))
        restore(self.world, newest)
        self.start()

    @rule()
    def restart(self) -> None:
        """Start the service again."""
        self.start()

    @contextmanager
    def crashing(self, last: int) -> Iterator[None]:
        """Let the service die at one of the statements it sends, and start it again."""
        crashed = False

        def crash() -> None:
            raise Crash

        steps = Steps(crash, last)
        with steps.of_database(self.parts.store._database.engine):
            try:
                yield
            except Crash:
                crashed = True
        if crashed:
            self.start()

    @invariant()
    def books_are_in_order(self) -> None:
        """Accounts are the sums of their lines, and every release has its committed lines."""
        found = books(self.world)
        check_books(found)
        rows = stores.LENDER.query(self.world.folder, "aggregate", "SELECT cycle, document FROM release")
        for cycle, document in rows:
            signed = SignedDocument.model_validate_json(str(document))
            release = Release.model_validate(signed.document)
            before = self.written.setdefault(str(cycle), release)
            assert release == before, "a release that was written never changes"
        released = {cycle for cycle, _ in rows}
        for (cycle, _), (_, _, events) in found.lines.items():
            assert ("committed" in events) == (cycle in released), "committed lines are those of releases"

    @invariant()
    def what_was_published_is_within_the_caps(self) -> None:
        """Report holds each release once, and they cost no more than a year's cap."""
        published = [Release.model_validate(document) for document in self.world.report.documents]
        assert len({one.cycle for one in published}) == len(published)
        assert all(self.written[one.cycle] == one for one in published)
        for (_, account), micro in spent_by_releases(published).items():
            assert micro <= CAPS[account]


@pytest.fixture(scope="module", params=stores.KINDS)
def store_kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have databases of one kind lent."""
    with stores.kind(request.param):
        yield request.param


def test_the_ledger_keeps_to_its_model(store_kind: str) -> None:
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=10,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
