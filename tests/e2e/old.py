"""Databases of the first version, full of rows: an open cycle of survey, released cycles of aggregate."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from services.kit.database import Database
from services.kit.settings import save_settings
from services.protocol.frame import Frame, Records, SheetCounts
from services.protocol.receipts import OUTCOMES, Outcome, leaf, list_digits, list_root, receipt_hash
from services.protocol.release import FIRST, Release, SheetTotals
from services.protocol.signed import SignedDocument
from services.rehearsal.answers import parse_answers
from services.rehearsal.links import Link, links_of
from services.rehearsal.phone import CycleView, Line, Phone, Response, fetch_manifest
from services.rehearsal.workforce import make_workforce
from tests.e2e.played import in_two_regions
from tests.e2e.stages import Services, options
from tests.e2e.upgrading import first_tables

ROWS = 100_000
REPS, ANSWERED, AT_ONCE = 60, 40, 6
COMPANY = "Acme"
LISTS = {"long": 24_000, "short": 1_000}
"""Lines of each receipt list, by cycle; together with the four sheets of each cycle 100,000 rows."""
SHEETS = ("support-group", "support-result", "flag-result", "motivation-result")
Lines = Mapping[str, list[tuple[bytes, Outcome]]]


@dataclass
class Answered:
    """Services with an open cycle that most reps have answered; not running."""

    services: Services
    view: CycleView
    phones: list[Phone]
    waiting: list[tuple[Link, Response]]
    made_up: bytes = b""
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def use(self, database: str) -> None:
        """Have survey use another database from its next start on."""
        save_settings(self.services.settings("survey").model_copy(update={"database": database}))


def answered(folder: Path) -> Answered:
    """Open a cycle, let phones answer, and read survey's rows in terms of its first version."""
    services = Services(folder)
    services.start()
    try:
        found = asyncio.run(answer(services, *opened(services)))
    finally:
        services.stop()
    found.rows = rows_of(f"sqlite:///{folder}/survey/survey.db")
    made_up = made_up_box(found)
    found.made_up = made_up[0]["envelope_hash"]
    found.rows["box"] += made_up
    return found


def opened(services: Services) -> tuple[list[Link], Mapping[str, Response]]:
    """Open a cycle; return its links and what everybody will say."""
    workforce = make_workforce(reps=REPS, world="seeds", seed=5, response=1.0)
    roster = ("roster.csv", in_two_regions(workforce.roster_csv))
    chosen = options(company=COMPANY, plan="finer", k=5, response=1.0)
    with services.hr() as hr:
        cycle = hr.draft(roster, ("results.csv", workforce.results_csv), chosen).cycle
        links = links_of(hr.open(cycle), services.stage)
    known = [link.employee_id for link in links]
    return links, parse_answers(workforce.answers_csv, file="answers.csv", employee_ids=known)


async def answer(services: Services, links: list[Link], said: Mapping[str, Response]) -> Answered:
    """Let most phones take part."""
    async with httpx.AsyncClient(timeout=60.0, trust_env=False) as client:
        line, first, turns = Line(client), links[0], asyncio.Semaphore(AT_ONCE)
        view = await fetch_manifest(
            line, survey=first.survey, aggregate=first.aggregate, cycle=first.cycle, pinned=first.pinned
        )
        phones = [Phone(line, view, link.code) for link in links[:ANSWERED]]

        async def one(phone: Phone, response: Response) -> None:
            async with turns:
                await phone.take_part(response)

        acting = (one(phone, said[link.employee_id]) for phone, link in zip(phones, links, strict=False))
        await asyncio.gather(*acting)
    return Answered(services, view, phones, [(link, said[link.employee_id]) for link in links[ANSWERED:]])


def rows_of(url: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of survey's database, with the columns of the first version."""
    with closing(Database(url)) as database, database.reading() as session:
        connection = session.connection()
        return {
            name: [dict(row) for row in connection.execute(select(table)).mappings()]
            for name, table in first_tables("survey").items()
        }


def made_up_box(found: Answered) -> list[dict[str, Any]]:
    """Return so many made-up sheets, as long as real ones, that the box is full."""
    manifest, made = found.view.manifest, []
    for number in range(ROWS - len(found.rows["box"])):
        envelope = secrets.token_bytes(manifest.envelope_length)
        made.append(
            {
                "cycle": manifest.cycle,
                "sheet": manifest.sheets[number % len(manifest.sheets)].name,
                "nonce": secrets.token_bytes(32),
                "counter": secrets.randbelow(2**32),
                "envelope_hash": receipt_hash(envelope),
                "envelope": envelope,
            }
        )
    return made


@cache
def receipt_lists(cycle: str) -> Lines:
    """Return made-up receipt lists of a cycle: most sheets were counted."""
    outcomes = (*OUTCOMES, *["counted"] * 7)
    return {
        sheet: [(secrets.token_bytes(32), outcomes[number % 10]) for number in range(LISTS[cycle])]  # type: ignore[misc]
        for sheet in SHEETS
    }


def release_of(cycle: str, previous: str) -> Release:
    """Return a release whose totals and roots are those of the made-up lists."""
    lists = receipt_lists(cycle)
    digits = list_digits(len(lines) for lines in lists.values())
    records = Records(
        frame=0,
        hit_share=None,
        attainment=None,
        activity_by_attainment=None,
        icc_attainment=None,
        mean_team_size=None,
        indicators=(),
        groups=(),
        notes=(),
    )
    counts = {sheet: SheetCounts(issued=len(lines), received=len(lines)) for sheet, lines in lists.items()}
    return Release(
        kind="release",
        cycle=cycle,
        company=COMPANY,
        manifest_hash="0" * 64,
        previous=previous,
        released_on="2026-03-02",
        sheets={sheet: totals(lines, digits) for sheet, lines in lists.items()},
        tables=(),
        groups=(),
        ledger=(),
        frame=Frame(cycle=cycle, manifest_hash="0" * 64, closed="", sheets=counts, records=records),
    )


def totals(lines: list[tuple[bytes, Outcome]], digits: int) -> SheetTotals:
    """Return the totals of one list."""
    fates = [outcome for _, outcome in lines]
    return SheetTotals(
        issued=len(lines),
        received=len(lines),
        counted=fates.count("counted"),
        withdrawn=fates.count("withdrawn"),
        rejected={"sealing": fates.count("rejected")},
        receipts_root=list_root(lines, digits).hex(),
    )


def released_cycles() -> dict[str, list[dict[str, Any]]]:
    """Return aggregate's rows of two released cycles, as its first version wrote them."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in first_tables("aggregate")}
    previous = FIRST
    for sequence, cycle in enumerate(LISTS, start=1):
        release = release_of(cycle, previous)
        add_cycle(rows, cycle, sequence, release)
        previous = release.hash().hex()
    account = {"company": COMPANY, "year": 2026, "account": "answers", "cap_micro": 8_000_000}
    rest = dict.fromkeys(
        ("cap_delta_pico", "reserved_micro", "reserved_delta_pico", "committed_delta_pico"), 0
    )
    rows["ledger_account"].append({**account, **rest, "committed_micro": len(LISTS) * 1_000_000})
    return rows


def add_cycle(rows: dict[str, list[dict[str, Any]]], cycle: str, sequence: int, release: Release) -> None:
    """Add one released cycle: its charge, its release, its delivery and its receipt lists."""
    signed = SignedDocument(document=release.model_dump(mode="json"), signatures={}).model_dump_json()
    hashed = release.hash().hex()
    rows["cycle"].append(
        {"id": cycle, "company": COMPANY, "state": "released", "proposal": "{}", "opening_keys": "{}"}
    )
    for number, happened in enumerate(("reserved", "committed"), start=1):
        rows["ledger_line"].append(
            {"id": 2 * sequence + number, "key": cycle, "event": happened, "account": "answers",
             "company": COMPANY, "year": 2026, "cycle": cycle, "micro": 1_000_000, "delta_pico": 0}
        )  # fmt: skip
    chained = {"company": COMPANY, "sequence": sequence, "hash": hashed, "previous": release.previous}
    rows["release"].append({"cycle": cycle, **chained, "document": signed})
    rows["outbox"].append({"release": hashed, "delivered": True})
    for sheet, lines in receipt_lists(cycle).items():
        in_order = sorted(lines, key=lambda line: leaf(*line))
        rows["receipt_list"] += [
            {"cycle": cycle, "sheet": sheet, "leaf": place, "hash": line[0], "outcome": line[1]}
            for place, line in enumerate(in_order)
        ]
