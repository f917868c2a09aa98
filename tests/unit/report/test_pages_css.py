"""The stylesheet: readable in both lights, the same in both directions, and still where asked."""

import re
from pathlib import Path

import pytest

from web import STATIC, TEMPLATES

CSS = re.sub(r"/\*.*?\*/", "", (STATIC / "fairpatch.css").read_text("utf-8"), flags=re.DOTALL)
TINTS = [f"tint-{step}" for step in range(1, 6)]
TEXT = [
    *[(ink, ground) for ink in ("ink", "muted", "accent") for ground in ("paper", "surface")],
    *[("ink", tint) for tint in TINTS],
    ("ink", "clay-soft"),
    ("ink", "hatch"),
    ("accent", "accent-soft"),
    ("clay", "clay-soft"),
    ("clay", "surface"),
    ("paper", "ink"),
]
CONTROLS = [(line, ground) for line in ("edge", "focus", "accent", "clay") for ground in ("paper", "surface")]


def variables(block: str) -> dict[str, str]:
    """Return the colours that a block sets."""
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def palettes() -> dict[str, dict[str, str]]:
    """Return the colours by light, by dark, and on paper."""
    roots = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    light, dark, paper = (variables(block) for block in roots)
    return {"light": light, "dark": light | dark, "print": light | paper}


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("light", ["light", "dark", "print"])
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_can_be_read(light: str, ink: str, ground: str) -> None:
    colours = palettes()[light]
    assert contrast(colours[ink], colours[ground]) >= 4.5


@pytest.mark.parametrize("light", ["light", "dark", "print"])
@pytest.mark.parametrize(("line", "ground"), CONTROLS)
def test_controls_and_focus_can_be_seen(light: str, line: str, ground: str) -> None:
    colours = palettes()[light]
    assert contrast(colours[line], colours[ground]) >= 3.0


@pytest.mark.parametrize("light", ["light", "dark"])
def test_tints_can_be_told_apart(light: str) -> None:
    colours = palettes()[light]
    assert len({colours[tint] for tint in TINTS}) == 5


def test_no_side_is_physical() -> None:
    sides = r"(?:^|[\s;{])(?:(?:margin|padding|border|inset)-)?(?:left|right|top|bottom)(?:-[\w-]+)?\s*:"
    assert re.findall(sides, CSS) == []
    assert not re.search(
        r"text-align:\s*(left|right)|float:|(?<![-\w])(?:min-|max-)?(?:width|height):\s*\d[^)]*;", CSS
    )


def test_nothing_is_fetched() -> None:
    assert not re.search(r"url\(|@import|@font-face|https?:", CSS)


def test_every_block_is_closed() -> None:
    assert CSS.count("{") == CSS.count("}") > 100


def test_every_colour_is_a_variable_that_is_set() -> None:
    used = set(re.findall(r"var\(--([\w-]+)\)", CSS))
    assert used <= set(re.findall(r"--([\w-]+):", CSS))
    rules = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    assert not re.search(r"#[0-9a-f]{3,8}\b", rules)


def test_motion_stops_and_targets_are_large() -> None:
    assert re.search(r"prefers-reduced-motion: reduce\) \{.*?transition: none", CSS, re.DOTALL)
    assert "--target: 3rem" in CSS
    tab = re.search(r"\.tabs a \{(.*?)\}", CSS, re.DOTALL)
    assert tab is not None
    assert "min-block-size: var(--target)" in tab[1]


def test_focus_is_visible() -> None:
    assert re.search(r":focus-visible \{[^}]*outline: 0\.1875rem solid var\(--focus\)", CSS)
    # Only the panel, which takes focus from the skip link and is no control, has no outline.
    assert re.findall(r"([^}{]*)\{[^}]*outline: none", CSS) == ["\n\nmain:focus "]


@pytest.mark.parametrize("path", sorted((TEMPLATES / "report").glob("*.html")), ids=lambda path: path.name)
def test_every_class_of_a_template_has_a_rule(path: Path) -> None:
    named: set[str] = set()
    for value in re.findall(r'class="([^"]*)"', path.read_text("utf-8")):
        literal = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", value)
        named |= {name for name in literal.split() if not name.endswith(("-", "state", "is"))}
    assert {name for name in named if f".{name}" not in CSS} == set()
