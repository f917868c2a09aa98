"""One command: a cycle of 2,000 responses is closed and released while a report is being read.

All answers are sealed and sent before the clock starts. Loopback only; the run ends by itself.
"""

import argparse
import asyncio
import csv
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from load import limits
from services.protocol.manifest import written
from services.rehearsal.collect import collect
from services.rehearsal.demo import inputs_of
from services.rehearsal.hr import Hr
from services.rehearsal.links import links_of
from services.rehearsal.run import Inputs, run_cycle
from services.rehearsal.stage import Stage, running_stage
from services.rehearsal.workforce import make_workforce
from services.survey.core.draft import Options

READERS = 8
AT_MOST_SECONDS = 900


class Words:
    """Progress in plain lines."""

    def step(self, words: str) -> None:
        """Say what is being done."""
        print(words, flush=True)

    def advance(self, done: int, total: int) -> None:
        """Say how far it is, now and then."""
        if done % 500 == 0 or done == total:
            print(f"  {done} of {total}", flush=True)


def main() -> int:
    """Prepare, run, judge; 0 if every limit holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=int, default=2000)
    parser.add_argument("--idle-seconds", type=float, default=10.0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fairpatch-load-") as name, running_stage(Path(name)) as stage:
        pages = run_cycle(stage, _inputs(60), _options("Read"), Words()).report.rstrip("/")
        cycle = _collected(stage, chosen.responses)
        figures = _run_locust(Path(name), stage, pages, cycle, chosen.idle_seconds)
    return judge(figures, chosen.responses)


def judge(figures: dict[str, dict[str, str]], responses: int) -> int:
    """Print the figures and say whether every limit holds."""
    idle, busy, job = (
        figures.get(name) for name in ("read while idle", "read while releasing", "close and release")
    )
    if idle is None or busy is None or job is None:
        print("The run did not come to its end.")
        return 1
    failed = sum(int(row["Failure Count"]) for row in figures.values())
    ratio = float(busy["Median Response Time"]) / max(float(idle["Median Response Time"]), 1.0)
    print(f"close and release of {responses} responses: {float(job['Average Response Time']) / 1000:.1f} s")
    for name, row in (("idle", idle), ("releasing", busy)):
        times = f"median {row['Median Response Time']} ms, 95% {row['95%']} ms"
        print(f"reads while {name}: {row['Request Count']}, {times}")
    print(f"median read while releasing / idle: {ratio:.2f} (limit {limits.READS_UNDER_RELEASE_RATIO})")
    print(f"failed requests: {failed} (limit {limits.FAILED_REQUESTS})")
    held = (
        failed <= limits.FAILED_REQUESTS
        and ratio <= limits.READS_UNDER_RELEASE_RATIO
        and int(idle["Request Count"]) >= limits.LEAST_IDLE_READS
        and int(busy["Request Count"]) >= limits.LEAST_READS_UNDER_RELEASE
    )
    print("All limits hold." if held else "A limit is broken.")
    return 0 if held else 1


def _collected(stage: Stage, responses: int) -> str:
    inputs, hr, words = _inputs(responses), Hr(stage), Words()
    words.step(f"Phones of {responses} reps seal and send")
    cycle = hr.draft(inputs.roster, inputs.results, _options("Load")).cycle
    asyncio.run(collect(links_of(hr.open(cycle), stage), inputs.responses, words.advance))
    hr.leave()
    return cycle


def _run_locust(
    folder: Path, stage: Stage, pages: str, cycle: str, idle_seconds: float
) -> dict[str, dict[str, str]]:
    here = Path(__file__).parent
    command = [
        *(sys.executable, "-m", "locust", "--headless", "--only-summary", "-f", str(here / "locustfile.py")),
        *("--users", str(READERS + 1), "--spawn-rate", "20", "--host", stage.report),
        *("--run-time", f"{AT_MOST_SECONDS}s", "--stop-timeout", "5", "--csv", str(folder / "figures")),
        *("--survey", stage.survey, "--pages", pages, "--cycle", cycle),
        *("--hr-key", stage.hr_key, "--idle-seconds", str(idle_seconds)),
    ]
    subprocess.run(command, cwd=here.parent, timeout=AT_MOST_SECONDS + 60, check=False)
    with (folder / "figures_stats.csv").open(newline="") as file:
        return {row["Name"]: row for row in csv.DictReader(file) if row["Name"] != "Aggregated"}


def _inputs(reps: int) -> Inputs:
    return inputs_of(make_workforce(reps=reps, world="seeds", seed=7, response=1.0))


def _options(company: str) -> Options:
    now = datetime.now(UTC)
    return Options(
        company=company,
        title="Load",
        response=1.0,
        opens=written(now),
        closes=written(now + timedelta(days=1)),
        latest_close=written(now + timedelta(days=2)),
        sample=True,
        rehearsal=True,
    )


if __name__ == "__main__":
    sys.exit(main())
