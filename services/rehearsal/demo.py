"""The demo: one released cycle of a composite company, and one open cycle to try."""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from services.rehearsal.answers import parse_answers
from services.rehearsal.hr import Hr
from services.rehearsal.links import write_links
from services.rehearsal.outputs import check_writable, files_of, write_files
from services.rehearsal.run import Inputs, Outcome, run_cycle
from services.rehearsal.stage import Stage, running_stage
from services.rehearsal.telling import Telling, print_outcome, telling
from services.rehearsal.workforce import Workforce, make_workforce
from services.survey.api import OpenReply
from services.survey.core.draft import Options
from services.survey.core.roster import parse_roster

SPARE_LINKS_SHOWN = 3
LINKS_FILE, ANSWERS_FILE = "links.csv", "answers.csv"


def run_demo(
    folder: Path,
    options: Options,
    *,
    reps: int,
    world: str,
    seed: int,
    out: Path | None,
    stay: Callable[[], None] | None,
) -> None:
    """Run the demo in ``folder``; ``stay`` waits while somebody looks at the pages."""
    if out is not None:
        check_writable(out)
    console, progress = Console(), Console(stderr=True)
    with telling(progress) as teller:
        teller.step("Making up a company")
        workforce = make_workforce(reps=reps, world=world, seed=seed, response=options.response)
        teller.step("Starting survey, aggregate and report")
    with running_stage(folder, usual_ports=stay is not None) as stage:
        with telling(progress) as teller:
            outcome, spare = _two_cycles(stage, workforce, options, teller)
        files = files_of(outcome)
        files[LINKS_FILE] = write_links(spare, stage).encode("utf-8")
        files[ANSWERS_FILE] = workforce.answers_csv
        kept = out or folder / "out"
        write_files(kept, files)
        print_outcome(console, outcome)
        if stay is not None:
            _print_links(console, outcome, spare, kept)
            stay()
        else:
            console.print(f"Files: {', '.join(files)} in {kept}" if out else "", highlight=False)


def _two_cycles(
    stage: Stage, workforce: Workforce, options: Options, teller: Telling
) -> tuple[Outcome, OpenReply]:
    """Run one cycle to its release, and open a second one that nobody has answered yet."""
    inputs = inputs_of(workforce)
    outcome = run_cycle(stage, inputs, options, teller)
    teller.step("Opening a second cycle to try")
    hr = Hr(stage)
    drafted = hr.draft(inputs.roster, inputs.results, options)
    spare = hr.open(drafted.cycle)
    hr.leave()
    return outcome, spare


def inputs_of(workforce: Workforce) -> Inputs:
    """Return a composite workforce as the files a company would give."""
    roster = parse_roster(workforce.roster_csv, file="roster.csv")
    known = [rep.employee_id for rep in roster.reps]
    return Inputs(
        roster=("roster.csv", workforce.roster_csv),
        results=("results.csv", workforce.results_csv),
        responses=parse_answers(workforce.answers_csv, file=ANSWERS_FILE, employee_ids=known),
    )


def _print_links(console: Console, outcome: Outcome, spare: OpenReply, kept: Path) -> None:
    console.print()
    console.print(f"Report:      {outcome.report}", highlight=False, soft_wrap=True)
    for link in spare.links[:SPARE_LINKS_SHOWN]:
        console.print(f"Spare link:  {link.link}", highlight=False, soft_wrap=True)
    console.print(
        f"Answer the open cycle by program:\n"
        f"  fairpatch simulate --links {kept / LINKS_FILE} --answers {kept / ANSWERS_FILE}",
        highlight=False,
        soft_wrap=True,
    )
    console.print("Stop with Ctrl-C.", style="dim")
