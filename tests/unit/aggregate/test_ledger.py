"""The ledger's arithmetic: caps hold, sums are kept, lines only move forward."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.aggregate.core.budget import InvalidBudget
from services.aggregate.core.ledger import (
    Account,
    AccountName,
    BudgetExceeded,
    InvalidTransition,
    LineState,
    advance,
    commit,
    open_account,
    reserve,
    void,
)
from services.protocol.problems import Problem

STATES: tuple[LineState, ...] = ("reserved", "committed", "void")


def test_a_new_account_has_the_public_caps() -> None:
    names: tuple[AccountName, ...] = ("answers", "participation")
    for name in names:
        account = open_account(name, 2026)
        assert (account.cap_micro, account.left_micro, account.delta) == (8_000_000, 8_000_000, 0.0)
        assert account.cap_delta_pico == account.left_delta_pico == 10_000_000


def test_reserve_commit_and_void_move_a_charge() -> None:
    account = reserve(open_account("participation", 2026), 1_000_000, 1e-6)
    assert (account.reserved_micro, account.committed_micro, account.delta) == (1_000_000, 0, 1e-6)
    spent = commit(account, 1_000_000, 1e-6)
    assert (spent.reserved_micro, spent.committed_micro, spent.delta) == (0, 1_000_000, 1e-6)
    assert spent.left_micro == account.left_micro == 7_000_000
    assert void(account, 1_000_000, 1e-6) == open_account("participation", 2026)


def test_four_balanced_cycles_fill_a_year_and_a_fifth_is_refused() -> None:
    account = open_account("answers", 2026)
    for _ in range(4):
        account = reserve(account, 2_000_000, 0.0)
    assert account.left_micro == 0
    with pytest.raises(BudgetExceeded):
        reserve(account, 1, 0.0)


def test_delta_has_its_own_cap_and_does_not_drift() -> None:
    account = open_account("participation", 2026)
    for _ in range(10):
        account = reserve(account, 1, 1e-6)
    assert account.delta == 1e-5
    with pytest.raises(BudgetExceeded):
        reserve(account, 1, 1e-12)


def test_refusal_is_a_problem_of_the_wire_and_says_no_numbers() -> None:
    with pytest.raises(Problem) as refused:
        reserve(open_account("answers", 2026), 8_000_001, 0.0)
    assert (refused.value.kind, refused.value.status) == ("budget", 409)
    assert not any(digit in str(refused.value) for digit in "0123456789")


@pytest.mark.parametrize("micro", [0, -1, True, 1.0, "1", None])
def test_what_is_no_charge_is_refused(micro: Any) -> None:
    account = reserve(open_account("answers", 2026), 2_000_000, 0.0)
    for step in (reserve, commit, void):
        with pytest.raises(InvalidBudget):
            step(account, micro, 0.0)


@pytest.mark.parametrize("step", [commit, void])
def test_what_is_not_reserved_cannot_move(step: Any) -> None:
    account = reserve(open_account("participation", 2026), 1_000_000, 1e-6)
    for micro, delta in ((1_000_001, 1e-6), (1_000_000, 2e-6)):
        with pytest.raises(InvalidTransition):
            step(account, micro, delta)
    with pytest.raises(InvalidTransition):
        step(step(account, 1_000_000, 1e-6), 1_000_000, 1e-6)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("to", STATES)
def test_a_line_moves_from_reserved_only(state: LineState, to: LineState) -> None:
    if state == "reserved" and to != "reserved":
        assert advance(state, to) == to
    else:
        with pytest.raises(InvalidTransition):
            advance(state, to)


@given(st.lists(st.tuples(st.integers(1, 3_000_000), st.sampled_from([0.0, 1e-6, 3e-6])), max_size=20))
def test_no_list_of_reservations_passes_a_cap(asked: list[tuple[int, float]]) -> None:
    account, granted = open_account("answers", 2026), 0
    for micro, delta in asked:
        try:
            account = reserve(account, micro, delta)
        except BudgetExceeded:
            continue
        granted += micro
    assert account.reserved_micro == granted <= account.cap_micro
    assert 0 <= account.left_delta_pico <= account.cap_delta_pico


class LedgerOfAYear(RuleBasedStateMachine):
    """Any order of steps; the model is the list of lines."""

    def __init__(self) -> None:
        super().__init__()
        self.account: Account = open_account("answers", 2026)
        self.lines: list[tuple[int, LineState]] = []

    def total(self, state: LineState) -> int:
        """Return what the lines in this state add up to."""
        return sum(micro for micro, held in self.lines if held == state)

    @rule(micro=st.integers(1, 4_000_000))
    def ask(self, micro: int) -> None:
        try:
            self.account = reserve(self.account, micro, 0.0)
        except BudgetExceeded:
            assert micro + self.total("reserved") + self.total("committed") > self.account.cap_micro
        else:
            self.lines.append((micro, "reserved"))

    @precondition(lambda self: self.total("reserved") > 0)
    @rule(data=st.data(), to=st.sampled_from(STATES[1:]))
    def finish(self, data: st.DataObject, to: LineState) -> None:
        reserved = [i for i, (_, state) in enumerate(self.lines) if state == "reserved"]
        i = data.draw(st.sampled_from(reserved))
        micro, state = self.lines[i]
        self.account = (commit if to == "committed" else void)(self.account, micro, 0.0)
        self.lines[i] = (micro, advance(state, to))

    @invariant()
    def the_account_is_the_sum_of_its_lines(self) -> None:
        assert self.account.reserved_micro == self.total("reserved")
        assert self.account.committed_micro == self.total("committed")
        assert 0 <= self.account.left_micro <= self.account.cap_micro


TestLedgerOfAYear = LedgerOfAYear.TestCase
