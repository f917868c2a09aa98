"""Report's readiness: its database, and nothing else."""

from pathlib import Path

import pytest

from services.kit.database import Database
from services.kit.readiness import SILENT
from services.protocol.problems import Problem
from tests.flow.report.factories import make_house


def test_report_is_ready_with_its_database(tmp_path: Path) -> None:
    house = make_house(tmp_path / "report")
    assert house.get("/readyz").json() == {"ready": True, "reasons": []}
    assert "fairpatch_ready 1.0" in house.get("/metrics").text


def test_report_without_its_database_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = make_house(tmp_path / "report")

    def away(database: Database) -> None:
        raise Problem("busy")

    monkeypatch.setattr(Database, "reading", away)
    answer = house.get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, [SILENT])
    assert "fairpatch_unready_reasons 1.0" in house.get("/metrics").text
