"""HR's side of a rehearsal, through survey's HTTP door."""

import time
from collections.abc import Callable
from typing import Any

import httpx

from services.kit.http import problem_of
from services.protocol.messages import ReleaseState
from services.protocol.problems import Problem
from services.rehearsal.stage import Stage
from services.survey.api import DraftReply, OpenReply
from services.survey.core.draft import Options

RELEASE_SECONDS = 1800.0


class Hr:
    """An HR analyst with the key that ``init`` wrote."""

    def __init__(self, stage: Stage) -> None:
        self._client = httpx.Client(
            base_url=stage.survey,
            headers={"authorization": f"Bearer {stage.hr_key}"},
            timeout=httpx.Timeout(120.0),
            trust_env=False,
        )

    def draft(self, roster: tuple[str, bytes], results: tuple[str, bytes], options: Options) -> DraftReply:
        """Upload both files and draft a cycle."""
        answer = self._call(
            "POST",
            "/hr/cycles",
            files={"roster": roster, "results": results},
            data={"options": options.model_dump_json()},
        )
        return DraftReply.model_validate(answer.json())

    def open(self, cycle: str) -> OpenReply:
        """Open a cycle and take its links."""
        return OpenReply.model_validate(self._call("POST", f"/hr/cycles/{cycle}/open").json())

    def close(self, cycle: str) -> None:
        """Close a cycle."""
        self._call("POST", f"/hr/cycles/{cycle}/close")

    def release(self, cycle: str, tell: Callable[[str], None]) -> None:
        """Have a cycle released and wait for it, telling what happens."""
        state = ReleaseState.model_validate(self._call("POST", f"/hr/cycles/{cycle}/release").json())
        deadline = time.monotonic() + RELEASE_SECONDS
        while state.state != "released":
            if state.state in ("failed", "void") or time.monotonic() > deadline:
                raise Problem("internal", f"The release did not finish: {state.words}")
            tell(state.words)
            time.sleep(0.2)
            state = ReleaseState.model_validate(self._call("GET", f"/hr/cycles/{cycle}/release").json())

    def leave(self) -> None:
        """Close the connection."""
        self._client.close()

    def _call(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **request)
        except httpx.TransportError:
            raise Problem("not-ready", "Survey does not answer.") from None
        if not answer.is_success:
            raise problem_of(answer)
        return answer
