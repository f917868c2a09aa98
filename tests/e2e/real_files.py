"""Turns two public data sets into the files that ``fairpatch rehearse`` takes.

Run it with the folder that holds ``group_survey/lq2002.csv`` and ``crm_pipeline/``::

    python -m tests.e2e.real_files --data FOLDER --out FOLDER

* ``lq2002.csv`` (R package multilevel, data set lq2002: 2,042 soldiers in 49 companies): each person's
  answers become a response. The companies are put into seven regions by their id, team = region. LEAD01
  to LEAD06 stand for S1 to S6, LEAD07 to LEAD10 for C1 to C4, TSIG01 to TSIG03 and LEAD11 for A1 to A4,
  and HOSTIL01 to HOSTIL04, turned round, for M1 to M4. These are real answers, and not about sales:
  results and activity beside them are composite (drawn here, unrelated to the answers).
* ``crm_pipeline`` ("CRM Sales Opportunities", a fictional export): the 30 agents with won deals. Credited
  is what they won in one quarter; the quota is composite: the office's median of the quarter before.
"""

import argparse
import csv
import io
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

REGIONS = 7
ITEMS = {
    **{f"S{i}": f"LEAD{i:02d}" for i in range(1, 7)},
    **{f"C{i}": f"LEAD{i + 6:02d}" for i in range(1, 5)},
    **{f"A{i}": f"TSIG{i:02d}" for i in range(1, 4)},
    "A4": "LEAD11",
}
TURNED = {f"M{i}": f"HOSTIL{i:02d}" for i in range(1, 5)}
ORDER = [*(f"{letter}{i}" for letter in "CAM" for i in range(1, 5)), *(f"S{i}" for i in range(1, 7))]


def group_survey(folder: Path, *, seed: int = 7) -> dict[str, bytes]:
    """Return roster, results and answers made from ``group_survey/lq2002.csv``."""
    people = _rows(folder / "group_survey" / "lq2002.csv")
    companies = sorted({int(person["COMPID"]) for person in people})
    region_of = {
        company: f"Region {1 + i * REGIONS // len(companies)}" for i, company in enumerate(companies)
    }
    drawn = random.Random(seed)
    roster, results, answers = [], [], []
    for number, person in enumerate(people, start=1):
        name, region = f"L{number:04d}", region_of[int(person["COMPID"])]
        roster.append({"employee_id": name, "email": f"{name}@lq.example", "team": region, "region": region})
        results.append(_composite(name, drawn))
        said = {item: person[column] for item, column in ITEMS.items()}
        said |= {item: str(5 - int(person[column])) for item, column in TURNED.items()}
        answers.append({"employee_id": name, **{item: said[item] for item in ORDER}, "flag": ""})
    return {"roster.csv": _csv(roster), "results.csv": _csv(results), "answers.csv": _csv(answers)}


def crm_pipeline(folder: Path) -> dict[str, bytes]:
    """Return roster and results of the 30 active agents in ``crm_pipeline``."""
    deals = _rows(folder / "crm_pipeline" / "sales_pipeline.csv")
    teams = {row["sales_agent"]: row for row in _rows(folder / "crm_pipeline" / "sales_teams.csv")}
    agents = sorted({deal["sales_agent"] for deal in deals})
    won = {quarter: _won(deals, quarter) for quarter in ("2017-Q2", "2017-Q3")}
    roster, results = [], []
    for number, agent in enumerate(agents, start=1):
        office = teams[agent]["regional_office"]
        peers = [name for name in agents if teams[name]["regional_office"] == office]
        name = f"A{number:02d}"
        roster.append(
            {
                "employee_id": name,
                "email": f"{name}@crm.example",
                "team": teams[agent]["manager"],
                "region": office,
            }
        )
        results.append(
            {
                "employee_id": name,
                "period_start": "2017-07-01",
                "period_end": "2017-09-30",
                "quota": f"{statistics.median(won['2017-Q2'].get(peer, 0.0) for peer in peers):.2f}",
                "credited": f"{won['2017-Q3'].get(agent, 0.0):.2f}",
                "calls": str(sum(deal["sales_agent"] == agent for deal in deals)),
            }
        )
    return {"roster.csv": _csv(roster), "results.csv": _csv(results)}


def true_scores(files: Mapping[str, bytes]) -> dict[str, tuple[float, list[int]]]:
    """Return each region's exact Support score [0..100] and band counts (low, middle, high)."""
    region_of = {row["employee_id"]: row["region"] for row in _parsed(files["roster.csv"])}
    counts: dict[str, list[int]] = {}
    for row in _parsed(files["answers.csv"]):
        mean = statistics.fmean(int(row[f"S{i}"]) for i in range(1, 7))
        band = 0 if mean <= 2.75 else 2 if mean >= 3.75 else 1
        counts.setdefault(region_of[row["employee_id"]], [0, 0, 0])[band] += 1
    return {name: (50 * (1 + (c[2] - c[0]) / sum(c)), c) for name, c in sorted(counts.items())}


def _composite(name: str, drawn: random.Random) -> dict[str, str]:
    high = drawn.random() < 0.5
    attainment = max(0.05, drawn.gauss(1.2, 0.18) if high else drawn.gauss(0.6, 0.15))
    return {
        "employee_id": name,
        "period_start": "2026-01-01",
        "period_end": "2026-03-31",
        "quota": "100000",
        "credited": f"{100000 * attainment:.2f}",
        "calls": str(round(max(0.0, drawn.gauss(400, 80)))),
        "demos": str(round(max(0.0, drawn.gauss(30, 8)))),
        "territory_index": f"{drawn.gauss(100, 15):.1f}",
    }


def _won(deals: Iterable[Mapping[str, str]], quarter: str) -> dict[str, float]:
    year, number = quarter.split("-Q")
    total: dict[str, float] = {}
    for deal in deals:
        closed = deal["close_date"]
        if deal["deal_stage"] == "Won" and closed[:4] == year and (int(closed[5:7]) + 2) // 3 == int(number):
            total[deal["sales_agent"]] = total.get(deal["sales_agent"], 0.0) + float(deal["close_value"])
    return total


def _rows(path: Path) -> list[dict[str, str]]:
    return _parsed(path.read_bytes())


def _parsed(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


def _csv(rows: Sequence[Mapping[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


def main() -> None:
    """Write both sets of files."""
    parser = argparse.ArgumentParser(description="Make rehearsal files from two public data sets.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    for name, files in (("group_survey", group_survey(chosen.data)), ("crm", crm_pipeline(chosen.data))):
        (chosen.out / name).mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            (chosen.out / name / file).write_bytes(data)
        print(f"{name}: {', '.join(files)}")


if __name__ == "__main__":
    main()
