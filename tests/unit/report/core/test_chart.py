"""Inline SVG: well-formed, escaped, and allowed by a policy without inline styles or scripts."""

import re
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from services.report.core.chart import NARROW, WIDE, Layout, Row, driver_chart, strip, tint

SVG = "{http://www.w3.org/2000/svg}"
ROWS = (
    Row("Support", 0.37, 0.25, 0.49, "0.37 (0.25 to 0.49)"),
    Row("Recorded activity", 0.04, -0.06, 0.14, "0.04 (-0.06 to 0.14)", exact=True),
    Row("Drive", None, None, None, "no data"),
)


def drawn(
    rows: tuple[Row, ...] = ROWS, title: str = "Support goes with results more", layout: Layout = WIDE
) -> Markup:
    return driver_chart(
        rows, key="drivers", title=title, description="Dots with ranges", band="Too small", layout=layout
    )


def parsed(text: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(str(text).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def test_it_is_an_image_with_a_name_and_a_description() -> None:
    root = parsed(drawn())
    assert root.get("role") == "img"
    labelled = (root.get("aria-labelledby") or "").split()
    texts = {child.get("id"): child.text for child in root if child.tag in (f"{SVG}title", f"{SVG}desc")}
    assert [texts[name] for name in labelled] == ["Support goes with results more", "Dots with ranges"]


def test_it_needs_no_inline_style_or_script() -> None:
    text = drawn()
    assert not re.search(r"\sstyle=|<style|<script|\son\w+=|href|javascript:", text)


def test_every_text_is_escaped() -> None:
    hostile = '"><script>alert(1)</script>'
    text = drawn((Row(hostile, 0.1, 0.0, 0.2, hostile), Row("x", None, None, None, hostile)), title=hostile)
    assert "<script>" not in text
    assert parsed(text).find(f"{SVG}title") is not None


def test_places_follow_the_numbers() -> None:
    root = parsed(drawn())
    zero = next(line for line in root.iter(f"{SVG}line") if line.get("class") == "zero")
    bars = [line for line in root.iter(f"{SVG}line") if line.get("class") == "range"]
    dot = next(root.iter(f"{SVG}circle"))
    at = float(zero.get("x1", "nan"))
    assert (
        at < float(bars[0].get("x1", "nan")) < float(dot.get("cx", "nan")) < float(bars[0].get("x2", "nan"))
    )
    assert float(bars[1].get("x1", "nan")) < at < float(bars[1].get("x2", "nan"))
    band = next(rect for rect in root.iter(f"{SVG}rect") if rect.get("class") == "small-band")
    left, width = float(band.get("x", "nan")), float(band.get("width", "nan"))
    assert left < at < left + width


def test_records_and_missing_drivers_look_different() -> None:
    root = parsed(drawn())
    classes = [element.get("class") for element in root.iter()]
    assert classes.count("dot") == 1
    assert classes.count("dot exact") == 1
    assert [text.text for text in root.iter(f"{SVG}text") if text.get("class") == "no-data"] == ["no data"]


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_wide_ranges_stay_inside_the_drawing(layout: Layout) -> None:
    root = parsed(drawn((Row("Support", -0.2, -0.95, 0.97, "wide"),), layout=layout))
    for line in root.iter(f"{SVG}line"):
        assert 0.0 <= float(line.get("x1", "nan")) <= float(line.get("x2", "nan")) <= layout.width


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_every_value_stands_with_its_range_in_digits(layout: Layout) -> None:
    texts = ["".join(text.itertext()) for text in parsed(drawn(layout=layout)).iter(f"{SVG}text")]
    assert "0.37 (0.25 to 0.49)" in texts
    assert "0.04 (-0.06 to 0.14)" in texts


def test_a_name_stands_above_its_bar_where_the_drawing_is_narrow() -> None:
    root = parsed(drawn(layout=NARROW))
    label = next(text for text in root.iter(f"{SVG}text") if text.text == "Support")
    bar = next(line for line in root.iter(f"{SVG}line") if line.get("class") == "range")
    assert float(label.get("y", "nan")) < float(bar.get("y1", "nan"))
    assert root.get("class") == "chart is-narrow"


def test_a_strip_shows_a_value_in_its_range_to_those_who_see_it() -> None:
    root = parsed(strip(25.0, 10.0, 50.0, most=100.0))
    track, bar = root.iter(f"{SVG}line")
    start, end = float(track.get("x1", "nan")), float(track.get("x2", "nan"))
    places = [float(bar.get("x1", "nan")), float(next(root.iter(f"{SVG}circle")).get("cx", "nan"))]
    places.append(float(bar.get("x2", "nan")))
    assert places == pytest.approx([start + share * (end - start) for share in (0.1, 0.25, 0.5)], abs=0.05)
    assert root.get("aria-hidden") == "true"


@pytest.mark.parametrize("key", ["", "a b", 'a"b', "ü"])
def test_a_key_is_an_id(key: str) -> None:
    with pytest.raises(ValueError, match="key"):
        driver_chart(ROWS, key=key, title="", description="", band="")


def test_numbers_must_be_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        drawn((Row("Support", float("nan"), 0.0, 0.1, ""),))
    with pytest.raises(ValueError, match="finite"):
        tint(float("inf"))
    with pytest.raises(ValueError, match="finite"):
        strip(float("nan"), 0.0, 1.0, most=1.0)


@pytest.mark.parametrize(
    ("score", "name"),
    [(0.0, "tint-1"), (35.0, "tint-2"), (50.0, "tint-3"), (64.9, "tint-4"), (65.0, "tint-5")],
)
def test_tints_have_five_steps(score: float, name: str) -> None:
    assert tint(score) == name
