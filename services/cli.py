"""The command line: ``fairpatch init | serve | demo | rehearse | plan | simulate``, and the operator's."""

import signal
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.operation.commands import COMMANDS
from services.protocol.manifest import written
from services.protocol.problems import Problem
from services.survey.core.csvfile import InputError
from services.survey.core.draft import Options

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
BAD_INPUT = {"input"}
FOR_DAYS, AT_LATEST_DAYS = 14, 21


class PlanName(StrEnum):
    """The named plans."""

    STRONGER = "stronger"
    BALANCED = "balanced"
    FINER = "finer"


class World(StrEnum):
    """The composite worlds of the demo."""

    SEEDS = "seeds"
    NULL = "null"
    SKILL = "skill"
    EFFORT = "effort"
    PROCESS = "process"
    QUOTA = "quota"
    HEALTHY = "healthy"
    REVERSE = "reverse"
    ENABLEMENT = "enablement"
    TIE = "tie"
    BOTH = "both"


class Which(StrEnum):
    """The services that ``serve`` can run."""

    SURVEY = "survey"
    AGGREGATE = "aggregate"
    REPORT = "report"
    ALL = "all"


class Mode(StrEnum):
    """How answers meet results."""

    SEALED = "sealed"
    LINKED = "linked"


Response = Annotated[float, typer.Option(min=0.05, max=1.0, help="Share of invited reps who take part.")]
Smallest = Annotated[int, typer.Option("--k", min=5, max=1000, help="Smallest group.")]
Folder = Annotated[Path, typer.Option("--dir", help="Folder of the services' data.")]
Roster = Annotated[Path, typer.Option(help="CSV of who is invited.")]
Results = Annotated[Path, typer.Option(help="CSV of quota, credited and activity.")]
Out = Annotated[Path | None, typer.Option(help="Folder for summary.json, release.json and report.html.")]


@app.command()
def init(folder: Folder) -> None:
    """Make a folder ready for the three services: keys, settings, peers."""
    from services.folder import init_folder

    init_folder(folder)
    Console().print(f"Ready. Start with: fairpatch serve all --dir {folder}", highlight=False)


@app.command()
def serve(which: Which, folder: Folder) -> None:
    """Run one service, or all three in one process, until SIGTERM or Ctrl-C."""
    from services.bundle import serve as run_services
    from services.folder import SERVICES

    run_services(folder, [service for service in SERVICES if which in (Which.ALL, Which(service))])


@app.command()
def demo(
    reps: Annotated[int, typer.Option(min=30, max=100_000)] = 400,
    world: World = World.SEEDS,
    seed: Annotated[int, typer.Option(min=0)] = 7,
    response: Response = 0.85,
    plan: PlanName = PlanName.BALANCED,
    out: Out = None,
    leave: Annotated[bool, typer.Option("--exit", help="Stop when the files are written.")] = False,
) -> None:
    """Run a whole cycle on a composite company, and leave a second one open to try."""
    from services.rehearsal.demo import run_demo

    options = _options("Sample company", plan, response=response, sample=True)
    with tempfile.TemporaryDirectory(prefix="fairpatch-") as folder:
        run_demo(
            Path(folder),
            options,
            reps=reps,
            world=world.value,
            seed=seed,
            out=out,
            stay=None if leave else _until_stopped,
        )


@app.command()
def rehearse(
    roster: Roster,
    results: Results,
    out: Annotated[Path, typer.Option(help="Folder for summary.json, release.json and report.html.")],
    previous: Annotated[Path | None, typer.Option(help="CSV of last period's results.")] = None,
    answers: Annotated[Path | None, typer.Option(help="CSV of answers; without it they are made up.")] = None,
    plan: PlanName = PlanName.BALANCED,
    mode: Mode = Mode.SEALED,
    k: Smallest = 10,
    response: Response = 0.7,
) -> None:
    """Run a whole cycle on your own files, with phones that answer by program."""
    from services.rehearsal.rehearse import run_rehearsal

    if mode is Mode.LINKED:
        raise Problem("input", "Linked cycles are not built yet. Use --mode sealed.")
    options = _options("Rehearsal", plan, response=response, k=k, made_up=answers is None)
    run_rehearsal(
        options,
        roster=_read(roster),
        results=_read(results),
        previous=None if previous is None else _read(previous),
        answers=None if answers is None else _read(answers),
        out=out,
    )


@app.command("plan")
def show_plan(
    roster: Roster,
    results: Results,
    plan: PlanName = PlanName.BALANCED,
    k: Smallest = 10,
    response: Response = 0.7,
) -> None:
    """Say what a cycle could show, before anyone is asked and at no budget."""
    from services.rehearsal.rehearse import plan_from_files
    from services.rehearsal.telling import print_plan

    options = _options("Plan", plan, response=response, k=k)
    print_plan(Console(), plan_from_files(options, roster=_read(roster), results=_read(results)))


@app.command()
def simulate(
    links: Annotated[Path, typer.Option(help="Links file of an open cycle.")],
    answers: Annotated[Path, typer.Option(help="CSV of answers, by employee_id.")],
) -> None:
    """Answer an open cycle on running services: one phone per line of the answers file."""
    from services.rehearsal.rehearse import run_simulation

    run_simulation(links=_read(links), answers=_read(answers))


for command in COMMANDS:
    app.command()(command)


def main() -> None:
    """Run a command; end with 0, 1 (failed) or 2 (bad use or input) and one sentence on stderr."""
    # Like Ctrl-C, so that a rehearsal takes its services down with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except InputError as error:
        _stop(str(error), 2)
    except Problem as problem:
        _stop(problem.detail or str(problem), 2 if problem.kind in BAD_INPUT else 1)
    except KeyboardInterrupt:
        _stop("Stopped.", 1)


def _stop(sentence: str, code: int) -> None:
    sys.stderr.write(sentence + "\n")
    raise SystemExit(code)


def _read(path: Path) -> tuple[str, bytes]:
    try:
        return path.name, path.read_bytes()
    except OSError:
        raise Problem("input", f"{path.name} can't be read. Check the path.") from None


def _until_stopped() -> None:
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda _number, _frame: stopped.set())
    while not stopped.wait(0.5):
        pass


def _options(
    company: str, plan: PlanName, *, response: float, k: int = 10, sample: bool = False, made_up: bool = False
) -> Options:
    """Return the options of a rehearsal that opens now."""
    now = datetime.now(UTC)
    return Options(
        company=company,
        title="What holds results back?",
        plan=plan.value,
        k=k,
        response=response,
        opens=written(now),
        closes=written(now + timedelta(days=FOR_DAYS)),
        latest_close=written(now + timedelta(days=AT_LATEST_DAYS)),
        sample=sample,
        made_up=made_up,
        rehearsal=True,
    )
