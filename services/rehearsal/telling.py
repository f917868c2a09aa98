"""What the terminal says: progress in words, the verdict, the plan."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from services.protocol.plan import (
    NAMED_PLANS,
    SUPPORT_GROUP,
    driver_power,
    predicted_half_width,
    printed_odds,
    useful_size,
)
from services.rehearsal.run import Outcome
from services.survey.core.draft import Draft


class Telling:
    """Progress on standard error; a plain line per step where no terminal is there to redraw."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, count="")
        self._words = ""

    def __enter__(self) -> "Telling":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, words: str) -> None:
        """Say that something else is being done now."""
        if words == self._words:
            return
        self._words = words
        if not self._console.is_terminal:
            self._console.print(words, highlight=False)
        self._progress.update(self._task, description=words, total=None, completed=0, count="")

    def advance(self, done: int, total: int) -> None:
        """Say how far it is."""
        self._progress.update(self._task, total=total, completed=done, count=f"{done} of {total}")


@contextmanager
def telling(console: Console) -> Iterator[Telling]:
    """Yield a teller on a console."""
    with Telling(console) as teller:
        yield teller


def print_outcome(console: Console, outcome: Outcome) -> None:
    """Print verdict, groups and budget of a release."""
    made = outcome.summary
    verdict = made["verdict"]
    console.print()
    if outcome.draft.options.sample:
        console.print("Sample data. Composite, not a real company.", style="dim")
    if outcome.draft.options.made_up:
        console.print("Rehearsal: answers are made up, no conclusion about this company", style="bold")
    console.print(f"[bold]{verdict['sentence']}[/bold]  [dim]({verdict['form']})[/dim]")
    for reason in (*verdict["reasons"], verdict["how_sure_words"]):
        console.print(reason, highlight=False)
    for warning in outcome.draft.warnings:
        console.print(f"Note: {warning}", style="yellow", highlight=False)
    console.print(_group_table(made["groups"]))
    spent = made["budget"]
    console.print(
        f"Privacy budget used: {spent['answers']:g} on answers, {spent['participation']:g} on taking part.",
        highlight=False,
    )


def print_plan(console: Console, draft: Draft) -> None:
    """Print what a plan could show before anyone is asked."""
    plan, options = draft.plan, draft.options
    answers = draft.invited * options.response
    console.print(f"[bold]{draft.invited} invited, {draft.frame} with results, plan {plan.name}[/bold]")
    for warning in draft.warnings:
        console.print(f"Note: {warning}", style="yellow", highlight=False)
    if SUPPORT_GROUP in plan.sheets:
        epsilon = plan.table(SUPPORT_GROUP).epsilon
        table = Table("Group", "Invited", "Expected range", "State", box=None)
        for group in draft.groups:
            if group.level != "group":
                continue
            half = predicted_half_width(group.invited, epsilon, response=options.response)
            state = "wide" if half > 10 else "shown"
            table.add_row(group.name, str(group.invited), f"+-{half:.0f} of 100", state)
        console.print(table)
        console.print(
            f"Groups under {useful_size(plan, k=options.k)} invited are merged with others.", highlight=False
        )
    if "B" in {table.table for table in plan.tables}:
        power = driver_power(answers, draft.frame, float(NAMED_PLANS[plan.name]["B"]))
        console.print(
            f"Chance to tell Support from activity, if they differ by .30: {power:.0%}", highlight=False
        )
    odds = printed_odds(plan)
    console.print(
        f"Budget: {plan.answers_micro / 1e6:g} on answers. Someone unsure 50 to 50 about one answer could "
        f"become at worst {_in_100(odds['one'])} in 100 sure, about all answers {_in_100(odds['all'])}.",
        highlight=False,
    )


def _in_100(odds: int) -> str:
    return "more than 99" if odds > 99 else str(odds)


def _group_table(groups: list[dict[str, Any]]) -> Table:
    table = Table("Group", "State", "Support", "Likely range", box=None)
    for group in groups:
        support = group["values"].get("Support")
        if support is None:
            table.add_row(group["name"], group["state"], "", "")
            continue
        low, high = support["interval"]
        table.add_row(group["name"], group["state"], f"{support['mean']:.0f}", f"{low:.0f} to {high:.0f}")
    return table
