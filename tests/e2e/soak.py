"""The count of kills over many runs: one line of JSON per kill whose round was checked and found right.

``FAIRPATCH_SOAK`` names the file (``.soak/kills.json``). A round that failed leaves a line too, and no later
run adds to a file with such a line: move it away to begin anew. ``python -m tests.e2e.soak`` tells how far
it is.
"""

import json
import os
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from tests.e2e.killing import TARGETS, Kill, Target

WANTED = 300
ROUND = 16
"""Kills of one round, shared out as all of them are: short enough that little is lost by a stop."""
SECONDS = float(os.environ.get("FAIRPATCH_SOAK_SECONDS") or 1200)
STORES = ("sqlite", "postgresql")


def shares(kills: int) -> dict[str, dict[Target, int]]:
    """Return how often each target is killed on each database: half of the services' kills on either."""
    services: tuple[Target, ...] = ("survey", "aggregate", "report")
    return {
        "sqlite": dict.fromkeys(services, kills - kills // 2),
        "postgresql": {**dict.fromkeys(services, kills // 2), "postgresql": kills},
    }


class Soak:
    """The file, and what is left to do."""

    def __init__(self, path: Path, wanted: int = WANTED) -> None:
        self.path, self._wanted = path, wanted

    @classmethod
    def named(cls) -> "Soak":
        """Return the file that the environment names."""
        return cls(Path(os.environ.get("FAIRPATCH_SOAK") or ".soak/kills.json"))

    def lines(self) -> list[dict[str, object]]:
        """Return what was written so far."""
        try:
            return [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]
        except FileNotFoundError:
            return []

    def failed(self) -> list[dict[str, object]]:
        """Return the rounds that failed."""
        return [line for line in self.lines() if "failed" in line]

    def made(self) -> Counter[tuple[str, str]]:
        """Return how many kills were made, by target and database."""
        return Counter((str(line["target"]), str(line["store"])) for line in self.lines() if "target" in line)

    def left(self, store: str) -> dict[Target, int]:
        """Return how many kills a database still has to take; none of a target that is done."""
        made = self.made()
        left = {target: kills - made[target, store] for target, kills in shares(self._wanted)[store].items()}
        return {target: kills for target, kills in left.items() if kills > 0}

    def next_round(self, store: str) -> dict[Target, int]:
        """Return the kills of the next round."""
        usual = shares(ROUND)[store]
        return {target: min(kills, usual[target]) for target, kills in self.left(store).items()}

    def add(self, kills: list[Kill]) -> None:
        """Write the kills of a round that was found right."""
        self._append([asdict(kill) for kill in kills])

    def fail(self, outcome: str) -> None:
        """Write that a round failed."""
        self._append([{"failed": outcome}])

    def words(self) -> str:
        """Tell how far it is."""
        made = self.made()
        done = {target: sum(made[target, store] for store in STORES) for target in TARGETS}
        figures = ", ".join(f"{target} {kills}/{self._wanted}" for target, kills in done.items())
        if self.failed():
            return f"Kills: {figures}. FAILED rounds: {len(self.failed())}; they are in {self.path}."
        lost, doubled = (sum(int(str(line[name])) for line in self.lines()) for name in ("lost", "doubled"))
        if all(kills >= self._wanted for kills in done.values()):
            return f"Kills: {figures}. Complete: {lost} acknowledged sheets lost, {doubled} doubled."
        return f"Kills: {figures}. {lost} lost, {doubled} doubled so far; run it again to go on."

    def _append(self, lines: list[dict[str, object]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # One write: two runs side by side (one per database) must not mix their lines.
        text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
        with self.path.open("ab", buffering=0) as file:
            file.write(text.encode("utf-8"))


if __name__ == "__main__":
    sys.stdout.write(Soak.named().words() + "\n")
