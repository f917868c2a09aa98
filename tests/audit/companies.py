"""Awkward companies: small teams, missing results and indexes, rare bands, groups that hardly answer.

Drawn up by survey's own code from files, and released by the service's own function; only the answers'
way through the wire is left out, because what is published doesn't depend on it.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.aggregate.core.records import check_records
from services.protocol import commitments
from services.protocol.encoding import b64
from services.protocol.frame import Frame, SheetCounts
from services.protocol.manifest import Manifest
from services.protocol.plan import CATALOGUE
from services.protocol.release import FIRST, Release, SheetTotals
from services.protocol.token import encode_key
from services.survey.core.bands import band
from services.survey.core.draft import Draft, Options, Values, make_manifest, sheet_values
from services.survey.core.drafting import draft_cycle
from services.survey.core.performance import RepRecord, rep_records
from services.survey.core.results import parse_results
from services.survey.core.roster import Roster, parse_roster
from tests.audit.figures import RECORD_CELLS, SUPPORT, Part
from tests.audit.releasing import release_function
from tests.unit.aggregate.factory import issuer_key, made_tally, opening_key, point

PERIOD = ("2026-01-01", "2026-03-31")
CLOSED = "2026-05-04T09:00:00Z"
OPTIONS = Options(
    company="Made-up company",
    title="Made up",
    opens="2026-04-20T09:00:00Z",
    closes=CLOSED,
    latest_close="2026-05-11T09:00:00Z",
    made_up=True,
)


@dataclass(frozen=True)
class Company:
    """What is published of a cycle, and what only the auditor knows: how many people each figure is about."""

    manifest: Manifest
    release: Release
    parts: Mapping[str, frozenset[Part]]
    people: Mapping[str, Mapping[Part, int]]

    @property
    def k(self) -> int:
        """The smallest group that reps were promised."""
        return self.manifest.k

    def people_of(self, attribute: str) -> Mapping[Part, int]:
        """Return how many people of each part an attribute is about."""
        return self.people.get(attribute, self.people["invited"])


def make_company(seed: int, *, function: str = "real") -> Company:
    """Return a company with its released cycle; the seed fixes people and answers, not the noise."""
    rng = np.random.default_rng(seed)
    teams = _teams(rng)
    roster_csv, results_csv = _files(rng, teams)
    roster = parse_roster(roster_csv, file="roster.csv")
    results = parse_results(results_csv, file="results.csv", roster=roster)
    plan, k = rng.choice(["stronger", "balanced", "finer"]), int(rng.choice([5, 10, 20]))
    options = OPTIONS.model_copy(update={"plan": str(plan), "k": k})
    draft, values = draft_cycle(roster, results, options)
    manifest = make_manifest(draft, cycle=f"made-up-{seed}", **_keys(draft))
    answered = _who_answers(rng, roster, teams)
    release = _release(rng, manifest, draft, values, answered, function)
    return Company(
        manifest,
        release,
        parts=_parts(roster, values, manifest),
        people=_people(roster, rep_records(roster, results), values, answered),
    )


def _teams(rng: np.random.Generator) -> dict[tuple[str, str], int]:
    """Return teams of very different sizes in a few regions."""
    return {
        (f"Region {region}", f"Team {team}"): int(rng.choice([3, 8, 12, 25, 60]))
        for region in range(int(rng.integers(2, 6)))
        for team in range(int(rng.integers(1, 7)))
    } | {("Region 0", "Team 0"): 60, ("Region 1", "Team 0"): 60}


def _files(rng: np.random.Generator, teams: Mapping[tuple[str, str], int]) -> tuple[bytes, bytes]:
    roster, results = (
        ["employee_id,email,team,region"],
        ["employee_id,period_start,period_end,quota,credited,calls,demos,territory_index"],
    )
    number = 0
    for (region, team), size in teams.items():
        with_results, with_index = rng.choice([0.05, 0.5, 0.95, 1.0]), rng.choice([0.1, 0.9, 1.0])
        for _ in range(size):
            number += 1
            roster.append(f"e{number},e{number}@example.org,{team},{region}")
            if rng.random() < with_results:
                # Few between 100 and 120 %: that band has to be merged.
                credited = int(rng.choice([40, 80, 110, 140], p=[0.34, 0.3, 0.03, 0.33]))
                index = f"{rng.normal(100, 15):.1f}" if rng.random() < with_index else ""
                calls = f"{rng.integers(10, 90)},{rng.integers(1, 30)}"
                results.append(f"e{number},{PERIOD[0]},{PERIOD[1]},100,{credited},{calls},{index}")
    return "\n".join(roster).encode(), "\n".join(results).encode()


def _who_answers(
    rng: np.random.Generator, roster: Roster, teams: Mapping[tuple[str, str], int]
) -> dict[str, bool]:
    rate = {team: rng.choice([0.02, 0.2, 0.7, 0.95]) for team in teams}
    return {rep.employee_id: bool(rng.random() < rate[rep.region, rep.team]) for rep in roster.reps}


def _keys(draft: Draft) -> dict[str, Any]:
    """Return keys and commitments; they open nothing here."""
    sheets = draft.plan.sheets
    return {
        "issuer_keys": {name: encode_key(issuer_key(name).public_key()) for name in sheets},
        "opening_keys": {name: b64(point(opening_key(name))) for name in sheets},
        "sheet_commitments": {
            name: [
                commitments.commit(name, commitments.encode_value(value), value.to_bytes(32, "big"))
                for value in sheet_values(draft, CATALOGUE[name].context)
            ]
            for name in sheets
        },
    }


def _release(
    rng: np.random.Generator,
    manifest: Manifest,
    draft: Draft,
    values: list[Values],
    answered: Mapping[str, bool],
    function: str,
) -> Release:
    check_records(draft.records, manifest)
    says = list(answered.values())
    tallies = {}
    for spec in manifest.sheets:
        exact = np.zeros((spec.field_values, spec.columns), dtype=np.int64)
        for value, is_in in zip(values, says, strict=True):
            column = value.of(spec.context)
            if is_in and column is not None:
                exact[int(rng.integers(spec.field_values)), column] += 1
        tallies[spec.name] = made_tally(exact.tolist(), blanks=sum(says) - int(exact.sum()))
    tables, groups = release_function(function)(tallies, manifest)
    counted = {"issued": sum(says), "received": sum(says)}
    totals = SheetTotals(**counted, counted=sum(says), withdrawn=0, rejected={}, receipts_root="0" * 64)
    return Release(
        kind="release",
        cycle=manifest.cycle,
        company=manifest.company,
        manifest_hash=manifest.hash().hex(),
        previous=FIRST,
        released_on=CLOSED[:10],
        sheets=dict.fromkeys(manifest.plan.sheets, totals),
        tables=tables,
        groups=groups,
        ledger=(),
        frame=Frame(
            cycle=manifest.cycle,
            manifest_hash=manifest.hash().hex(),
            closed=CLOSED,
            sheets=dict.fromkeys(manifest.plan.sheets, SheetCounts(**counted)),
            records=draft.records,
        ),
    )


def _parts(roster: Roster, values: list[Values], manifest: Manifest) -> dict[str, frozenset[Part]]:
    """Return the teams of every reporting group; where there is none, of the company."""
    names = [group.id for group in manifest.reporting_groups()] or [manifest.groups[0].id]
    inside: dict[str, set[Part]] = {name: set() for name in names}
    for rep, value in zip(roster.reps, values, strict=True):
        inside[names[value.group or 0]].add(_part(rep.region, rep.team))
    return {name: frozenset(teams) for name, teams in inside.items()}


def _people(
    roster: Roster, records: list[RepRecord], values: list[Values], answered: Mapping[str, bool]
) -> dict[str, Counter[Part]]:
    """Return, by attribute, how many people of each part its figures are about."""
    of = {rep.employee_id: _part(rep.region, rep.team) for rep in roster.reps}
    known = [one for one in records if one.attainment is not None]
    with_index = [one for one in known if one.territory_index is not None]
    cells = Counter(
        f"band {band('attainment', one.attainment)}" for one in known if one.attainment is not None
    )
    with_results = Counter(of[one.employee_id] for one in known)
    return {
        "invited": Counter(of.values()),
        "hit share": with_results,
        "median attainment": with_results,
        "territory index": Counter(of[one.employee_id] for one in with_index),
        SUPPORT: Counter(
            of[rep.employee_id]
            for rep, value in zip(roster.reps, values, strict=True)
            if answered[rep.employee_id] and value.group is not None
        ),
        RECORD_CELLS: cells,
    }


def _part(region: str, team: str) -> Part:
    return f"{region}: {team}"
