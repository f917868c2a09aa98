"""A cycle on given files; a look at what it could show; answers to an open cycle by program."""

import asyncio
import tempfile
from pathlib import Path

from rich.console import Console

from services.rehearsal.answers import draw_answers, parse_answers
from services.rehearsal.collect import collect
from services.rehearsal.links import read_links
from services.rehearsal.outputs import check_writable, files_of, write_files
from services.rehearsal.run import Inputs, run_cycle
from services.rehearsal.stage import running_stage
from services.rehearsal.telling import print_outcome, telling
from services.survey.core.draft import Draft, Options
from services.survey.core.drafting import draft_cycle
from services.survey.core.results import parse_results
from services.survey.core.roster import parse_roster

File = tuple[str, bytes]
MADE_UP_SEED = 7


def run_rehearsal(
    options: Options,
    *,
    roster: File,
    results: File,
    previous: File | None,
    answers: File | None,
    out: Path,
) -> None:
    """Check every file whole, then run one cycle on them and write its files to ``out``."""
    inputs, warnings = read_inputs(options, roster, results, previous, answers)
    check_writable(out)
    console, progress = Console(), Console(stderr=True)
    for warning in warnings:
        progress.print(f"Note: {warning}", style="yellow", highlight=False)
    with tempfile.TemporaryDirectory(prefix="fairpatch-") as folder, telling(progress) as teller:
        teller.step("Starting survey, aggregate and report")
        with running_stage(Path(folder)) as stage:
            outcome = run_cycle(stage, inputs, options, teller)
    files = files_of(outcome)
    write_files(out, files)
    print_outcome(console, outcome)
    console.print(f"Files: {', '.join(files)} in {out}", highlight=False)


def read_inputs(
    options: Options, roster: File, results: File, previous: File | None, answers: File | None
) -> tuple[Inputs, list[str]]:
    """Return checked inputs and the warnings of their files; the first bad line is refused."""
    name, data = roster
    parsed = parse_roster(data, file=name)
    known = [rep.employee_id for rep in parsed.reps]
    warnings = [str(warning) for warning in parsed.warnings]
    name, data = results
    warnings += [str(warning) for warning in parse_results(data, file=name, roster=parsed).warnings]
    if previous is not None:
        name, data = previous
        parse_results(data, file=name, roster=parsed)
        warnings.append("Last period's results were checked; a sealed cycle does not use them.")
    if answers is None:
        responses = draw_answers(known, response=options.response, seed=MADE_UP_SEED)
    else:
        name, data = answers
        responses = parse_answers(data, file=name, employee_ids=known)
    return Inputs(roster, results, responses), warnings


def plan_from_files(options: Options, *, roster: File, results: File) -> Draft:
    """Return the draft that a cycle on these files would start from; nothing is stored or spent."""
    parsed = parse_roster(roster[1], file=roster[0])
    draft, _values = draft_cycle(parsed, parse_results(results[1], file=results[0], roster=parsed), options)
    return draft


def run_simulation(*, links: File, answers: File) -> None:
    """Answer an open cycle through its links."""
    read = read_links(links[1], file=links[0])
    known = [link.employee_id for link in read]
    responses = parse_answers(answers[1], file=answers[0], employee_ids=known)
    progress = Console(stderr=True)
    with telling(progress) as teller:
        teller.step("Phones seal their sheets and send them")
        count = asyncio.run(collect(read, responses, teller.advance))
    Console().print(f"{count} phones sent all their sheets.", highlight=False)
