"""The ledger's rows: reserve, commit and give back, inside a transaction that the store opened.

The arithmetic is that of the pure ledger; this module makes it safe against other writers. A company
stands in the ledger under its key (``charges.company_key``), not as it is printed.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import text
from sqlmodel import Session, col, select, update

from services.aggregate.core import ledger
from services.aggregate.core.budget import PICO, pico
from services.aggregate.core.charges import Charge, company_key
from services.aggregate.core.ledger import Account, AccountName
from services.aggregate.tables import AccountRow, LineRow
from services.protocol.messages import LedgerAccount

ACCOUNTS: tuple[AccountName, ...] = ("answers", "participation")
Step = Callable[[Account, int, float], Account]

# One form for both databases: a new account starts empty, an old one is left as it is.
_ENSURE = text(
    "INSERT INTO ledger_account (company, year, account, cap_micro, cap_delta_pico, reserved_micro,"
    " committed_micro, reserved_delta_pico, committed_delta_pico) VALUES (:company, :year, :account,"
    " :cap_micro, :cap_delta_pico, 0, 0, 0, 0) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True)
class Line:
    """What a cycle was charged: the company's key, the line's key, the ledger year and the charge."""

    company: str
    key: str
    year: int
    charge: Charge


def read_accounts(session: Session, company: str, year: int) -> tuple[LedgerAccount, ...]:
    """Return both accounts of a company (in any spelling) and year; one never charged is empty."""
    found = {name: _find(session, company_key(company), year, name) for name in ACCOUNTS}
    accounts = {name: account or ledger.open_account(name, year) for name, account in found.items()}
    return tuple(
        LedgerAccount(
            company=company,
            year=year,
            account=name,
            reserved_micro=account.reserved_micro,
            committed_micro=account.committed_micro,
            cap_micro=account.cap_micro,
            delta=account.delta,
        )
        for name, account in accounts.items()
    )


def read_lines(session: Session, cycle: str) -> tuple[Line, ...]:
    """Return what a cycle reserved, answers first."""
    query = select(LineRow).where(LineRow.cycle == cycle, LineRow.event == "reserved")
    rows = {row.account: row for row in session.exec(query)}
    return tuple(
        Line(row.company, row.key, row.year, Charge(name, row.micro, row.delta_pico / PICO))
        for name in ACCOUNTS
        if (row := rows.get(name)) is not None
    )


def reserve(session: Session, cycle: str, line: Line) -> None:
    """Set a charge aside, or raise BudgetExceeded."""
    empty = ledger.open_account(line.charge.account, line.year)
    session.connection().execute(
        _ENSURE,
        {
            "company": line.company,
            "year": line.year,
            "account": empty.name,
            "cap_micro": empty.cap_micro,
            "cap_delta_pico": empty.cap_delta_pico,
        },
    )
    _step(session, line, ledger.reserve)
    _note(session, cycle, line, "reserved")


def commit(session: Session, cycle: str) -> None:
    """Turn what a cycle reserved into what it spent, for good."""
    for line in read_lines(session, cycle):
        _step(session, line, ledger.commit)
        _note(session, cycle, line, ledger.advance("reserved", "committed"))


def give_back(session: Session, cycle: str) -> None:
    """Return what a cycle reserved to its accounts."""
    for line in read_lines(session, cycle):
        _step(session, line, ledger.void)
        _note(session, cycle, line, ledger.advance("reserved", "void"))


def _step(session: Session, line: Line, step: Step) -> None:
    """Move an account one step; if another writer came between reading and writing, look again."""
    while True:
        before = _find(session, line.company, line.year, line.charge.account)
        if before is None:
            raise ledger.InvalidTransition("the account does not exist")
        after = step(before, line.charge.epsilon_micro, line.charge.delta)
        if _swap(session, line.company, before, after):
            return


def _swap(session: Session, company: str, before: Account, after: Account) -> bool:
    """Write ``after`` only if the row still is ``before``: two charges can't spend the same rest."""
    unchanged = [col(getattr(AccountRow, name)) == value for name, value in _amounts(before).items()]
    changed = session.exec(
        update(AccountRow)
        .where(
            col(AccountRow.company) == company,
            col(AccountRow.year) == before.year,
            col(AccountRow.account) == before.name,
            *unchanged,
        )
        .values(**_amounts(after))
    )
    return changed.rowcount == 1


def _find(session: Session, company: str, year: int, name: AccountName) -> Account | None:
    query = select(AccountRow).where(
        AccountRow.company == company, AccountRow.year == year, AccountRow.account == name
    )
    row = session.exec(query.execution_options(populate_existing=True)).first()
    if row is None:
        return None
    return Account(name=name, **row.model_dump(exclude={"company", "account"}))


def _amounts(account: Account) -> dict[str, int]:
    values = asdict(account)
    del values["name"], values["year"]
    return values


def _note(session: Session, cycle: str, line: Line, event: ledger.LineState) -> None:
    session.add(
        LineRow(
            key=line.key,
            event=event,
            account=line.charge.account,
            company=line.company,
            year=line.year,
            cycle=cycle,
            micro=line.charge.epsilon_micro,
            delta_pico=pico(line.charge.delta),
        )
    )
