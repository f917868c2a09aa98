"""The stage: services of one's own, on ports of one's own."""

import socket
from pathlib import Path

import httpx
import pytest

from services.rehearsal import stage as stages


def test_a_lost_port_is_made_up_for_by_another_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        lost = taken.getsockname()[1]
        real, asked = stages.free_ports, []

        def ports(*, usual: bool) -> tuple[int, int, int]:
            found = real(usual=usual)
            asked.append(found)
            return (lost, *found[1:]) if len(asked) == 1 else found

        monkeypatch.setattr(stages, "free_ports", ports)
        with stages.running_stage(tmp_path / "stage") as stage:
            assert len(asked) == 2
            assert httpx.get(f"{stage.survey}/healthz", trust_env=False).is_success
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{stage.survey}/healthz", trust_env=False)


def test_usual_ports_are_left_alone_unless_asked_for() -> None:
    assert not set(stages.free_ports(usual=False)) & set(stages.DEFAULT_PORTS)
