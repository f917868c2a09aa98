"""A second cycle of the same company: nobody answers, and its operators try to loosen what was promised."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from services.protocol.encoding import canonical
from services.protocol.manifest import Manifest
from services.protocol.release import Release
from services.protocol.release import parse as parse_release
from services.protocol.signed import SignedDocument
from services.rehearsal.workforce import make_workforce
from tests.e2e.played import REPS, Played, get
from tests.e2e.stages import Services, options

Change = Callable[[dict[str, Any]], object]
LOOSER: dict[str, Change] = {
    "a smaller k": lambda document: document.update(k=5),
    "another title": lambda document: document.update(title="Another title"),
    "a later close": lambda document: document.update(latest_close="2099-01-01T00:00:00Z"),
    "more budget": lambda document: document["plan"]["tables"][0].update(epsilon_micro=900_000),
    "a looser coin": lambda document: document["plan"].update(coin_epsilon_micro=2_000_000),
    "a table more": lambda document: document["plan"]["tables"].append(document["plan"]["tables"][0]),
    "another group": lambda document: document["groups"][-1].update(name="Only three people"),
}


@dataclass
class SilentCycle:
    """What the services said to every second manifest, and the release of an empty box."""

    manifest: Manifest
    same_again: httpx.Response
    by_aggregate: dict[str, httpx.Response]
    by_report: dict[str, httpx.Response]
    served_before: SignedDocument
    served_after: SignedDocument
    release: Release


def stay_silent(services: Services, played: Played) -> SilentCycle:
    """Open the cycle, try to loosen it, close it and have it released."""
    workforce = make_workforce(reps=REPS, world="null", seed=12, response=1.0)
    files = (("roster.csv", workforce.roster_csv), ("results.csv", workforce.results_csv))
    with services.hr() as hr:
        cycle = hr.draft(*files, options(plan="stronger", response=1.0)).cycle
        hr.open(cycle)
        before = served(services, cycle)
        by_aggregate, by_report = {}, {}
        for name, change in LOOSER.items():
            document = copy.deepcopy(before.document)
            change(document)
            by_aggregate[name] = to_aggregate(services, cycle, document)
            by_report[name] = to_report(services, cycle, document)
        same_again = to_aggregate(services, cycle, before.document)
        after = served(services, cycle)
        hr.close(cycle)
        hr.release(cycle, lambda words: None)
    release = SignedDocument.model_validate(get(f"{services.stage.aggregate}/api/releases/{cycle}").json())
    return SilentCycle(
        manifest=Manifest.model_validate(before.document),
        same_again=same_again,
        by_aggregate=by_aggregate,
        by_report=by_report,
        served_before=before,
        served_after=after,
        release=parse_release(release.document),
    )


def served(services: Services, cycle: str) -> SignedDocument:
    """Return the manifest that aggregate serves."""
    answer = get(f"{services.stage.aggregate}/api/cycles/{cycle}/manifest")
    return SignedDocument.model_validate(answer.json())


def to_aggregate(services: Services, cycle: str, document: dict[str, Any]) -> httpx.Response:
    """Ask aggregate to countersign a manifest, as survey's operator can: signed with survey's own key."""
    signature = services.identity("survey").sign("manifest", canonical(document))
    upload = {"signed": {"document": document, "signatures": {"survey": signature}}, "commitments": {}}
    with services.signed("survey", "aggregate") as survey:
        return survey.put(f"/internal/cycles/{cycle}/manifest", json=upload)


def to_report(services: Services, cycle: str, document: dict[str, Any]) -> httpx.Response:
    """Hand report a manifest that both operators together have signed."""
    body = canonical(document)
    signers = {name: services.identity(name).sign("manifest", body) for name in ("survey", "aggregate")}
    with services.signed("survey", "report") as survey:
        return survey.put(
            f"/internal/cycles/{cycle}/manifest", json={"document": document, "signatures": signers}
        )
