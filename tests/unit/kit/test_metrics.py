"""Metrics: what is added is shown, as Prometheus reads it, and nothing else is."""

import tomllib
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from services.kit.http import make_app, no_lifespan
from services.kit.metrics import MEDIA_TYPE, VERSION, Metrics
from services.kit.spells import Spells
from tests.unit.kit.doubles import ask

ROOT = Path(__file__).parents[3]
COMMON = {"fairpatch_ready", "fairpatch_unready_reasons", "fairpatch_build_info", "fairpatch_faults"}


def families(text: bytes) -> dict[str, Metric]:
    """Return what Prometheus makes of a text."""
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def values(text: bytes) -> dict[str, float]:
    """Return every sample by its name and labels."""
    return {
        f"{sample.name}{sorted(sample.labels.items()) or ''}": sample.value
        for family in families(text).values()
        for sample in family.samples
    }


def test_every_service_says_whether_it_is_ready_and_what_it_is() -> None:
    text = Metrics(schema="0007").text(["one", "two"])
    assert set(families(text)) == COMMON
    assert values(text)["fairpatch_ready"] == 0
    assert values(text)["fairpatch_unready_reasons"] == 2
    assert values(text)[f"fairpatch_build_info[('schema', '0007'), ('version', '{VERSION}')]"] == 1
    assert values(Metrics(schema="0007").text([]))["fairpatch_ready"] == 1


def test_figures_are_read_when_somebody_asks() -> None:
    metrics, depth = Metrics(schema="1"), [3.0]
    metrics.add("depth", "Depth.", lambda: depth[0])
    metrics.add("falls_total", "Falls.", lambda: depth[0], "counter")
    metrics.add("spread", "Spread.", lambda: {(("side", "left"),): 1.0, (("side", "right"),): depth[0]})
    depth[0] = 4.0
    text = metrics.text([])
    assert values(text)["fairpatch_depth"] == values(text)["fairpatch_falls_total"] == 4
    assert values(text)["fairpatch_spread[('side', 'right')]"] == 4
    assert [families(text)[f"fairpatch_{name}"].type for name in ("depth", "falls")] == ["gauge", "counter"]


def test_no_time_of_creation_goes_with_a_counter() -> None:
    metrics = Metrics(schema="1")
    metrics.add("falls_total", "Falls.", lambda: 2.0, "counter")
    assert b"_created" not in metrics.text([])


def test_the_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] == VERSION


APP = make_app("test", lifespan=no_lifespan, unready=lambda: ["missing"], metrics=Metrics(schema="1"))


def test_metrics_are_served_beside_readiness() -> None:
    answer = ask(APP, "GET", "/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPE)
    assert values(answer.content)["fairpatch_unready_reasons"] == 1
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_metrics_are_only_read(method: str) -> None:
    assert ask(APP, method, "/metrics").status_code == 405
    assert ask(APP, "HEAD", "/metrics").status_code == 200


def test_metrics_are_no_part_of_the_described_interface() -> None:
    assert "/metrics" not in ask(APP, "GET", "/openapi.json").text


def test_a_spell_counts_once_however_often_it_happens() -> None:
    now = [0.0]
    spells = Spells(60.0, lambda: now[0])
    counts = []
    for moment in (0.0, 0.1, 59.9, 60.0, 60.1, 119.0, 500.0):
        now[0] = moment
        begins = spells.note()
        assert begins is (spells.count > (counts[-1] if counts else 0))
        counts.append(spells.count)
    assert counts == [1, 1, 1, 2, 2, 2, 3]
