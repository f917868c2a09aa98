"""The ledger: two budget accounts per company and year, in integers, and lines that only move forward.

Pure arithmetic; the store runs it inside one transaction and keeps each (account, key) unique.
"""

from dataclasses import dataclass, replace
from typing import Literal

from services.aggregate.core.budget import PICO, InvalidBudget, pico
from services.protocol.plan import CAP_ANSWERS_MICRO, CAP_DELTA, CAP_PARTICIPATION_MICRO
from services.protocol.problems import Problem

AccountName = Literal["answers", "participation"]
LineState = Literal["reserved", "committed", "void"]

_CAPS_MICRO: dict[AccountName, int] = {
    "answers": CAP_ANSWERS_MICRO,
    "participation": CAP_PARTICIPATION_MICRO,
}
_NEXT: dict[LineState, tuple[LineState, ...]] = {
    "reserved": ("committed", "void"),
    "committed": (),
    "void": (),
}


class BudgetExceeded(Problem):
    """The account of this company and year does not hold what a cycle asks for."""

    def __init__(self) -> None:
        super().__init__("budget")


class InvalidTransition(ValueError):
    """A ledger line or account would move backwards, or move what it does not hold."""


@dataclass(frozen=True)
class Account:
    """One budget account of a company and ledger year [micro-epsilon, pico-delta]."""

    name: AccountName
    year: int
    cap_micro: int
    cap_delta_pico: int
    reserved_micro: int = 0
    committed_micro: int = 0
    reserved_delta_pico: int = 0
    committed_delta_pico: int = 0

    @property
    def left_micro(self) -> int:
        """What can still be reserved [micro-epsilon]."""
        return self.cap_micro - self.reserved_micro - self.committed_micro

    @property
    def left_delta_pico(self) -> int:
        """What can still be reserved of delta [pico]."""
        return self.cap_delta_pico - self.reserved_delta_pico - self.committed_delta_pico

    @property
    def delta(self) -> float:
        """Delta reserved and committed."""
        return (self.reserved_delta_pico + self.committed_delta_pico) / PICO


def open_account(name: AccountName, year: int) -> Account:
    """Return the untouched account of a new year.

    Parameters
    ----------
    name : str
        ``answers`` or ``participation``.
    year : int
        Ledger year.

    Returns
    -------
    Account
        With the caps of the public plan arithmetic, nothing reserved, nothing committed.

    Raises
    ------
    KeyError
        If there is no such account.

    Notes
    -----
    Privacy: exact and public. Protections of several years add up, and the pages say so.
    Source: statistics.md, section 2 (ledger).

    Examples
    --------
    >>> open_account("participation", 2026).left_micro
    8000000
    """
    return Account(name, year, cap_micro=_CAPS_MICRO[name], cap_delta_pico=pico(CAP_DELTA))


def reserve(account: Account, micro: int, delta: float) -> Account:
    """Return the account with a charge set aside.

    Parameters
    ----------
    account : Account
        Before the charge.
    micro : int
        The charge [micro-epsilon], above 0.
    delta : float
        Its delta, 0 or above.

    Returns
    -------
    Account
        With the charge in ``reserved_micro`` and ``reserved_delta_pico``.

    Raises
    ------
    BudgetExceeded
        If epsilon or delta would pass the cap, counting all that is reserved and committed.
    InvalidBudget
        If micro or delta cannot be a budget.

    Notes
    -----
    Privacy: exact and public; what is reserved cannot be promised to another cycle.
    Source: statistics.md, section 2 (ledger).

    Examples
    --------
    >>> reserve(open_account("answers", 2026), 2_000_000, 0.0).left_micro
    6000000
    """
    epsilon_micro, delta_pico = _checked(micro), pico(delta)
    if epsilon_micro > account.left_micro or delta_pico > account.left_delta_pico:
        raise BudgetExceeded
    return replace(
        account,
        reserved_micro=account.reserved_micro + epsilon_micro,
        reserved_delta_pico=account.reserved_delta_pico + delta_pico,
    )


def commit(account: Account, micro: int, delta: float) -> Account:
    """Return the account with a reserved charge spent, for good.

    Parameters
    ----------
    account : Account
        With the charge reserved.
    micro, delta : int, float
        The charge, as for :func:`reserve`.

    Returns
    -------
    Account
        With the charge moved from reserved to committed; nothing is left over or returned.

    Raises
    ------
    InvalidTransition
        If that much is not reserved.

    Notes
    -----
    Privacy: exact and public; committed in the transaction that writes the noisy values.
    Source: system.md, section 5.

    Examples
    --------
    >>> account = reserve(open_account("answers", 2026), 2_000_000, 0.0)
    >>> commit(account, 2_000_000, 0.0).committed_micro
    2000000
    """
    unreserved = void(account, micro, delta)
    return replace(
        unreserved,
        committed_micro=unreserved.committed_micro + micro,
        committed_delta_pico=unreserved.committed_delta_pico + pico(delta),
    )


def void(account: Account, micro: int, delta: float) -> Account:
    """Return the account with a reserved charge given back.

    Parameters
    ----------
    account : Account
        With the charge reserved.
    micro, delta : int, float
        The charge, as for :func:`reserve`.

    Returns
    -------
    Account
        As before the reservation.

    Raises
    ------
    InvalidTransition
        If that much is not reserved.

    Notes
    -----
    Privacy: exact and public; only for cycles of which nothing was ever drawn.
    Source: system.md, section 5 (cancelled or void).

    Examples
    --------
    >>> account = open_account("answers", 2026)
    >>> void(reserve(account, 2_000_000, 0.0), 2_000_000, 0.0) == account
    True
    """
    epsilon_micro, delta_pico = _checked(micro), pico(delta)
    if epsilon_micro > account.reserved_micro or delta_pico > account.reserved_delta_pico:
        raise InvalidTransition("that much is not reserved")
    return replace(
        account,
        reserved_micro=account.reserved_micro - epsilon_micro,
        reserved_delta_pico=account.reserved_delta_pico - delta_pico,
    )


def advance(state: LineState, to: LineState) -> LineState:
    """Return the next state of a ledger line.

    Parameters
    ----------
    state, to : str
        ``reserved``, ``committed`` or ``void``.

    Returns
    -------
    str
        ``to``.

    Raises
    ------
    InvalidTransition
        Unless a reserved line is committed or made void; both are final.

    Notes
    -----
    Privacy: exact and public; what was spent cannot be given back.
    Source: statistics.md, section 2 (ledger).

    Examples
    --------
    >>> advance("reserved", "committed")
    'committed'
    """
    if to not in _NEXT[state]:
        raise InvalidTransition(f"a line that is {state} cannot become {to}")
    return to


def _checked(micro: int) -> int:
    if isinstance(micro, bool) or not isinstance(micro, int) or micro <= 0:
        raise InvalidBudget("a charge is a positive whole number of millionths")
    return micro
