"""Numbers to inline SVG: no style attribute, no script, every text escaped; colours come from classes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from services.report.core.wording import figure

SMALL_BAND: Final = 0.15
"""An r nearer to 0 than this is too small to act on."""

TOP: Final = 30
BOTTOM: Final = 30
STRIP: Final = (160, 16)
"""Width and height of a strip [pixels of its own]."""

RANGE: Final = Markup(
    '<line class="range" x1="{}" y1="{}" x2="{}" y2="{}" stroke="currentColor" stroke-width="3"/>'
)
FIGURES: Final = Markup(
    '<text class="figures" x="{}" y="{}" text-anchor="end"><tspan class="figure">{}</tspan> ({} to {})</text>'
)
TINTS: Final = (35.0, 45.0, 55.0, 65.0)
"""Scores [points of 100] at which a cell's tint changes, from brown to green in five steps."""


@dataclass(frozen=True)
class Row:
    """One line of the chart: a driver's r and range, or no data; ``exact`` is drawn as a square."""

    label: str
    value: float | None
    low: float | None
    high: float | None
    words: str
    exact: bool = False


@dataclass(frozen=True)
class Layout:
    """Where things stand on a drawing [pixels]: the plot from ``left`` to ``right``, one row after another.

    ``words`` and ``mark`` say how far under the middle of a row its name, and its bar, are drawn.
    """

    name: str
    width: int
    left: int
    right: int
    row: int
    words: int
    mark: int


WIDE: Final = Layout("is-wide", width=760, left=170, right=580, row=34, words=5, mark=0)
NARROW: Final = Layout("is-narrow", width=320, left=16, right=304, row=50, words=-6, mark=12)


@dataclass(frozen=True)
class Scale:
    """From a value to a place on the drawing [pixels]."""

    least: float
    most: float
    left: int
    right: int

    def x(self, value: float) -> float:
        """Return the place of ``value``, within the plot."""
        share = (min(max(value, self.least), self.most) - self.least) / (self.most - self.least)
        return round(self.left + share * (self.right - self.left), 1)


def driver_chart(
    rows: Sequence[Row], *, key: str, title: str, description: str, band: str, layout: Layout = WIDE
) -> Markup:
    """Return a chart of dots with their ranges around a zero line.

    Parameters
    ----------
    rows : sequence of Row
        Drivers from top to bottom.
    key : str
        Letters, digits and hyphens; makes the chart's ids unique on a page.
    title, description : str
        What the chart says and shows, for readers who don't see it.
    band : str
        Words for the shaded band around zero.
    layout : Layout
        ``WIDE`` has names beside the bars, ``NARROW`` above them, for a phone.

    Returns
    -------
    Markup
        One ``svg`` element that scales with its place; safe to put into a page.

    Raises
    ------
    ValueError
        If the key has other characters, or a number is not finite.

    Notes
    -----
    Privacy: post-processing.
    Source: pages.md, E3; SVG 1.1 presentation attributes only, for a policy without inline styles.

    Examples
    --------
    >>> rows = [Row("Support", 0.37, 0.25, 0.49, "0.37 (0.25 to 0.49)")]
    >>> text = driver_chart(rows, key="drivers", title="A < B", description="", band="small")
    >>> text.startswith("<svg"), "A &lt; B" in text, "style" in text
    (True, True, False)
    """
    if not key.replace("-", "").isalnum() or not key.isascii():
        raise ValueError("a chart's key has letters, digits and hyphens only")
    scale = _scale(rows, layout)
    height = TOP + layout.row * len(rows) + BOTTOM
    parts = [
        Markup('<svg class="chart {}" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">').format(
            layout.name, layout.width, height, key, key
        ),
        Markup('<title id="{}-t">{}</title><desc id="{}-d">{}</desc>').format(key, title, key, description),
        _ground(scale, height, band),
        *(_row(scale, row, TOP + layout.row * (place + 0.5), layout) for place, row in enumerate(rows)),
        Markup("</svg>"),
    ]
    return Markup("").join(parts)


def strip(value: float, low: float, high: float, *, most: float) -> Markup:
    """Return a value and its range on a bare line from 0, to stand beside the same numbers.

    Parameters
    ----------
    value, low, high : float
        The value and the ends of its range.
    most : float
        Where the line ends.

    Returns
    -------
    Markup
        One ``svg`` element that readers who don't see it are not told of.

    Raises
    ------
    ValueError
        If a number is not finite.

    Notes
    -----
    Privacy: post-processing.
    Source: pages.md, E1 to E3 (a number is shown with its range).

    Examples
    --------
    >>> text = strip(50.0, 40.0, 60.0, most=100.0)
    >>> text.count("<line"), 'cx="80.0"' in text
    (2, True)
    """
    if not all(math.isfinite(number) for number in (value, low, high)):
        raise ValueError("a strip holds finite numbers")
    width, height = STRIP
    scale, middle = Scale(0.0, most, 6, width - 6), height // 2
    track = Markup('<line class="track" x1="{}" y1="{}" x2="{}" y2="{}" stroke="currentColor"/>')
    return Markup("").join(
        (
            Markup('<svg class="strip" viewBox="0 0 {} {}" aria-hidden="true" focusable="false">').format(
                width, height
            ),
            track.format(scale.x(0.0), middle, scale.x(most), middle),
            RANGE.format(scale.x(low), middle, scale.x(high), middle),
            Markup('<circle class="dot" cx="{}" cy="{}" r="5" fill="currentColor"/>').format(
                scale.x(value), middle
            ),
            Markup("</svg>"),
        )
    )


def tint(score: float) -> str:
    """Return the class that colours a cell of the group table.

    Parameters
    ----------
    score : float
        A score [points of 100].

    Returns
    -------
    str
        ``tint-1`` (low) to ``tint-5`` (high); the cell also holds the number in words.

    Raises
    ------
    ValueError
        If the score is not a finite number.

    Notes
    -----
    Privacy: post-processing.
    Source: pages.md, E2.

    Examples
    --------
    >>> tint(12.0), tint(50.0), tint(88.0)
    ('tint-1', 'tint-3', 'tint-5')
    """
    if not math.isfinite(score):
        raise ValueError("a score is a finite number")
    return f"tint-{1 + sum(score >= edge for edge in TINTS)}"


def _scale(rows: Sequence[Row], layout: Layout) -> Scale:
    """Return a scale from tenth to tenth that holds every range and the band around zero."""
    ends = [end for row in rows for end in (row.value, row.low, row.high) if end is not None]
    if not all(math.isfinite(end) for end in ends):
        raise ValueError("a chart holds finite numbers")
    least = min([-0.2, *ends])
    most = max([0.6, *ends])
    return Scale(
        math.floor(round(least * 10, 6)) / 10, math.ceil(round(most * 10, 6)) / 10, layout.left, layout.right
    )


def _ground(scale: Scale, height: int, band: str) -> Markup:
    """Return band, zero line and ticks."""
    left, right, zero = scale.x(-SMALL_BAND), scale.x(SMALL_BAND), scale.x(0.0)
    foot = height - BOTTOM
    parts = [
        Markup(
            '<rect class="small-band" x="{}" y="{}" width="{}" height="{}" fill="currentColor"'
            ' fill-opacity="0.1"/>'
        ).format(left, TOP, round(right - left, 1), foot - TOP),
        Markup('<text class="note" x="{}" y="{}" text-anchor="middle">{}</text>').format(
            zero, TOP - 10, band
        ),
        Markup('<line class="zero" x1="{}" y1="{}" x2="{}" y2="{}" stroke="currentColor"/>').format(
            zero, TOP, zero, foot
        ),
    ]
    tick = Markup('<text class="tick" x="{}" y="{}" text-anchor="middle">{}</text>')
    tenths = range(round(scale.least * 10), round(scale.most * 10) + 1)
    parts += [
        tick.format(scale.x(tenth / 10), foot + 18, f"{tenth / 10:.1f}") for tenth in tenths if tenth % 2 == 0
    ]
    return Markup("").join(parts)


def _row(scale: Scale, row: Row, middle: float, layout: Layout) -> Markup:
    """Return one driver: its name, its range as a bar, its value as a dot or a square."""
    foot, bar = middle + layout.words, middle + layout.mark
    name = Markup('<text class="label" x="0" y="{}">{}</text>').format(foot, row.label)
    if row.value is None or row.low is None or row.high is None:
        words = Markup('<text class="no-data" x="{}" y="{}" text-anchor="end">{}</text>')
        return name + words.format(layout.width, foot, row.words)
    return Markup("").join(
        (
            name,
            RANGE.format(scale.x(row.low), bar, scale.x(row.high), bar),
            _dot(scale.x(row.value), bar, row),
            FIGURES.format(layout.width, foot, figure(row.value), figure(row.low), figure(row.high)),
        )
    )


def _dot(x: float, y: float, row: Row) -> Markup:
    """Return the mark of a value, with the figure in words for pointers and readers."""
    if row.exact:
        return Markup(
            '<rect class="dot exact" x="{}" y="{}" width="12" height="12" fill="currentColor">'
            "<title>{}</title></rect>"
        ).format(round(x - 6, 1), y - 6, row.words)
    return Markup(
        '<circle class="dot" cx="{}" cy="{}" r="7" fill="currentColor"><title>{}</title></circle>'
    ).format(x, y, row.words)
