"""The subtraction attack over everything that is published of many awkward companies."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from unittest.mock import patch

from services.aggregate.core import gate
from services.aggregate.core import records as checked_records
from services.survey.core import bands, records
from tests.audit.companies import Company, make_company
from tests.audit.figures import SUPPORT, noise_of_the_rest, published, small_exact_cells
from tests.audit.subtraction import by_attribute, smallest_isolated
from tests.audit.telling import Findings

COMPANIES, PLANTED_COMPANIES = 200, 40


@dataclass
class Attacked:
    """What subtraction found in a number of companies."""

    companies: int = 0
    figures: int = 0
    attributes: set[str] = field(default_factory=set)
    held: Counter[int] = field(default_factory=Counter)
    isolated: list[str] = field(default_factory=list)
    small_rests: list[float] = field(default_factory=list)
    declared: int = 0

    def add(self, other: "Attacked") -> None:
        """Take in what was found elsewhere."""
        self.companies += other.companies
        self.figures += other.figures
        self.attributes |= other.attributes
        self.held.update(other.held)
        self.isolated += other.isolated
        self.small_rests += other.small_rests
        self.declared += other.declared


def audit(pool: Executor, companies: int = COMPANIES) -> Findings:
    """Return whether anything published of real releases isolates somebody, and whether faults are seen."""
    found = attack_all(pool, range(companies), "")
    findings = Findings(f"Subtraction: {found.companies} companies, {found.figures:,} published figures")
    findings.require(
        not found.isolated,
        f"{len(found.isolated)} combinations are about fewer than k people or one held group; looked at: "
        + ", ".join(sorted(found.attributes))
        + "".join(f". {each}" for each in found.isolated[:3]),
    )
    findings.require(found.held[1] == 0 and sum(found.held.values()) > found.companies / 2, _held(found))
    findings.say(
        "Company minus shown groups leaves all held groups together, two or more. In "
        f"{len(found.small_rests)} companies they had fewer than k answers between them; the noise of such a "
        f"difference is at least {min(found.small_rests, default=0.0):.1f} answers (SD of one band)."
    )
    findings.say(
        f"Declared exception: {found.declared} cells under k in exact tables of activity by attainment "
        "(company records, in the signed JSON only)."
    )
    for name in FAULTS:
        seen = attack_all(pool, range(PLANTED_COMPANIES), name)
        example = seen.isolated[0] if seen.isolated else "nothing"
        findings.require(
            bool(seen.isolated),
            f"Planted, {name}: {len(seen.isolated)} found in {seen.companies} companies. First: {example}.",
        )
    return findings


def attack_all(pool: Executor, seeds: range, fault: str) -> Attacked:
    """Return what is found in companies drawn from these seeds, four pieces at a time."""
    total = Attacked()
    for future in [pool.submit(attack_some, seeds[start::4], fault) for start in range(4)]:
        total.add(future.result())
    return total


def attack_some(seeds: range, fault: str) -> Attacked:
    """Return what is found in some companies, with a fault planted or with none."""
    total = Attacked()
    with FAULTS[fault]() if fault else nullcontext():
        for seed in seeds:
            total.add(attack(make_company(seed)))
    return total


def attack(company: Company) -> Attacked:
    """Solve for the fewest people that published figures of one company are about, attribute by attribute."""
    figures = published(company.release, company.manifest, company.parts)
    held = [state.id for state in company.release.groups if state.state == "held"]
    found = Attacked(companies=1, figures=len(figures))
    found.declared = small_exact_cells(company.release.frame.records, company.k)
    for attribute, same in by_attribute(figures).items():
        found.attributes.add("sheet totals" if attribute.startswith("sheets ") else attribute)
        least = smallest_isolated(same, company.people_of(attribute))
        if least is None or least.people >= company.k:
            continue
        if attribute == SUPPORT and _is_rest(least.parts, company, held):
            found.small_rests.append(noise_of_the_rest(company.release, company.manifest))
        else:
            found.isolated.append(f"{attribute}: {least}")
    if company.release.groups:
        found.held[len(held)] += 1
    return found


def _is_rest(parts: frozenset[str], company: Company, held: list[str]) -> bool:
    """Whether a combination is about all held groups together, and they are two or more."""
    rest = frozenset().union(*(company.parts[group] for group in held)) if held else frozenset()
    answering = {part for part in rest if company.people[SUPPORT][part]}
    return len(held) > 1 and answering <= parts <= rest


def _held(found: Attacked) -> str:
    counts = ", ".join(f"{number}: {times}" for number, times in sorted(found.held.items()))
    return f"Groups held per company (how many groups: how many companies) {counts}; never exactly one."


@contextmanager
def _patched(*patches: tuple[object, str, Callable[..., object]]) -> Iterator[None]:
    with ExitStack() as stack:
        for target, name, replacement in patches:
            stack.enter_context(patch.object(target, name, replacement))
        yield


def _open_without_rest(counts: dict[str, int], k: int) -> set[str]:
    return {group for group, count in counts.items() if count >= k}


_merge = bands.merge_bands


def _merge_across_quota(counts: object, scores: object, k: int, *, apart: int = 0) -> object:
    return _merge(counts, scores, k)  # type: ignore[arg-type]


FAULTS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "a group held alone": partial(
        _patched, (gate, "_with_sibling_held", lambda shown, invited: tuple(shown))
    ),
    "one group's records withheld alone, and aggregate not looking": partial(
        _patched,
        (records, "_open", _open_without_rest),
        (checked_records, "_check_rest", lambda groups, manifest: None),
    ),
    "result bands merged across quota": partial(_patched, (bands, "merge_bands", _merge_across_quota)),
}
