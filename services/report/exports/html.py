"""The report as one HTML file: every tab on one page, its styles inside, nothing fetched, no script."""

from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from markupsafe import Markup

from services.kit.pages import make_environment, render
from services.report.reading import Reading
from web import STATIC

# Compiled once per process: a template is the same for every report.
_environment = cache(make_environment)


@dataclass(frozen=True)
class StandalonePage:
    """All sections of a report; ``linked`` is off because a file has no other pages to lead to."""

    template: ClassVar[str] = "report/standalone.html"

    title: str
    stylesheet: Markup
    reading: Reading
    top: int = 2
    linked: bool = False


def standalone(reading: Reading) -> str:
    """Return a report as one self-contained HTML file."""
    # The stylesheet is ours and has no "<", so it can stand inside an element as it is.
    stylesheet = Markup((STATIC / "fairpatch.css").read_text("utf-8"))  # noqa: S704
    title = f"{reading.verdict.title}: {reading.heading.company}, {reading.heading.title}"
    return render(_environment(), StandalonePage(title, stylesheet, reading))
