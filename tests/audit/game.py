"""The differencing game: a rep leaves between two cycles; did they answer in the first one?

A reader gets everything that report serves of both cycles: every page, the file and the signed release.
In one world the rep's first response was a whole answer, in the other a blank; all else is the same.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

import httpx
import numpy as np

from services.protocol.manifest import parse
from services.protocol.release import FIRST
from tests.audit.bounds import at_least, at_most
from tests.audit.neighbours import COUNTED, Response, tallies
from tests.audit.publishing import PLACE, PLAN, make_release, manifests, theory
from tests.audit.readers import PAGES, READERS, Scores, Seen, read
from tests.audit.telling import Findings
from tests.flow.report.factories import House, make_house

ROUNDS, PLANTED_ROUNDS = 320, 160
ALARM = 1e-4
"""Chance that one reader's luck fails a right release; three readers play."""

FAULTS = {
    "same noise": "both cycles of a company with the same noise",
    "blanks not counted": "totals that leave blank sheets out",
}


def audit(pool: Executor, rounds: int = ROUNDS) -> Findings:
    """Return how well readers do against the real release, and against planted ones."""
    most = theory(manifests()[0], PLACE)
    findings = Findings(
        f"Differencing game: {rounds} rounds of two cycles through report's addresses, plan '{PLAN}'"
    )
    findings.say(f"By the published law no reader can be ahead by more than {most:.2f} (0 is guessing).")
    for name, ahead, surely in play(pool, rounds, "real"):
        findings.require(
            surely <= most,
            f"Reader who {name}: ahead by {ahead:.2f}; surely (false alarm {ALARM:g}) by {surely:.2f}.",
        )
    for fault, words in FAULTS.items():
        results = play(pool, PLANTED_ROUNDS, fault)
        name, ahead, surely = max(results, key=lambda result: result[2])
        findings.require(
            surely > most,
            f"Planted, {words}: the reader who {name} is ahead by {ahead:.2f}, surely by {surely:.2f}.",
        )
    return findings


def play(pool: Executor, rounds: int, fault: str) -> list[tuple[str, float, float]]:
    """Return each reader's advantage, as seen and as it surely is."""
    pieces = [pool.submit(play_some, rounds // 4, fault, start) for start in range(4)]
    seen = [one for piece in pieces for one in piece.result()]
    return [(name, *advantage(reader(seen), seen)) for name, reader in READERS.items()]


def advantage(scores: Scores, seen: Sequence[Seen]) -> tuple[float, float]:
    """Return hits less false alarms of a reader who says yes above 0; learnt readers gave NaN to lessons."""
    answered = np.array([one.answered for one in seen])
    judged = ~np.isnan(scores)
    rates, draws = [], []
    for world in (True, False):
        said = scores[judged & (answered == world)] > 0
        rates.append(int(said.sum()))
        draws.append(said.size)
    surely = at_least(rates[0], draws[0], ALARM / 2) - at_most(rates[1], draws[1], ALARM / 2)
    return rates[0] / draws[0] - rates[1] / draws[1], float(surely)


def play_some(rounds: int, fault: str, start: int) -> list[Seen]:
    """Play rounds on a report service of its own: half of them with the answer, half with the blank."""
    with tempfile.TemporaryDirectory() as folder:
        house = make_house(Path(folder) / "report")
        return [
            one_round(house, f"r{start}-{number}", answered=number % 2 == 0, fault=fault)
            for number in range(rounds)
        ]


def one_round(house: House, name: str, *, answered: bool, fault: str) -> Seen:
    """Publish two cycles of a company, and fetch all there is of them."""
    worlds: tuple[Response, Response] = ("present" if answered else "blank", "blank")
    previous, cycles = FIRST, list[str]()
    for number, (manifest, world) in enumerate(zip(manifests(), worlds, strict=True), start=1):
        document = manifest.model_copy(update={"cycle": f"{name}-{number}", "company": f"Company {name}"})
        own = parse(document.model_dump(mode="json"))
        exact = tallies(own, PLACE, world)
        release = make_release(own, exact, previous, counted=COUNTED - (number - 1), fault=fault)
        assert house.put_manifest(own).status_code == 200
        assert house.post_release(release).status_code == 201
        previous, cycles = release.hash().hex(), [*cycles, own.cycle]
    pages = asyncio.run(fetch(house, [f"/reports/{cycle}/" for cycle in cycles]))
    return read(pages, answered)


async def fetch(house: House, bases: Sequence[str]) -> list[dict[str, httpx.Response]]:
    """Return every page, file and document of the cycles."""
    transport = httpx.ASGITransport(app=house.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://report.test") as client:
        return [{path: await client.get(base + path) for path in (*PAGES, "release.json")} for base in bases]
