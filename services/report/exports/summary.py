"""The report as plain data, in the shape that outside checks read (``summary.json``)."""

from collections.abc import Mapping
from typing import Any

from services.protocol.manifest import Group, Manifest
from services.protocol.plan import MICRO
from services.protocol.release import LedgerLine, NoisyTable, Release, SheetTotals
from services.report.core.explanations import Verdict
from services.report.core.findings import find
from services.report.core.five import Explanation
from services.report.core.groups import Reading
from services.report.core.verdict_words import sureness, verdict_reasons, verdict_title
from services.report.reading import banners


def summary(
    release: Release, manifest: Manifest, *, timings_s: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return a release as plain data; ``timings_s`` [s] is what the caller measured on the way."""
    findings = find(release, manifest)
    readings = {manifest.groups[0].id: findings.company["support"], **findings.groups}
    groups = (manifest.groups[0], *manifest.separate_groups())
    return {
        "notices": list(banners(manifest)),
        "cycle": manifest.cycle,
        "invited": manifest.invited,
        "sheets": {name: _totals(totals) for name, totals in release.sheets.items()},
        "budget": _budget(release),
        "tables": {table.sheet: _table(table) for table in release.tables},
        "groups": [_group(group, readings[group.id]) for group in groups],
        "verdict": _verdict(findings.verdict),
        "explanations": [_explanation(found) for found in findings.verdict.explanations],
        "timings_s": dict(timings_s or {}),
    }


def _totals(totals: SheetTotals) -> dict[str, Any]:
    return totals.model_dump(mode="json", exclude={"receipts_root"})


def _budget(release: Release) -> dict[str, Any]:
    def spent(account: str) -> float:
        return sum(line.epsilon_micro for line in release.ledger if line.account == account) / MICRO

    return {
        "answers": spent("answers"),
        "participation": spent("participation"),
        "delta": sum(line.delta for line in release.ledger),
        "lines": [_line(line) for line in release.ledger],
    }


def _line(line: LedgerLine) -> dict[str, Any]:
    return {
        "account": line.account,
        "year": line.year,
        "epsilon": line.epsilon_micro / MICRO,
        "delta": line.delta,
        "spent": line.spent_micro / MICRO,
        "cap": line.cap_micro / MICRO,
    }


def _table(table: NoisyTable) -> dict[str, Any]:
    return {
        **table.model_dump(mode="json", exclude={"sheet", "epsilon_micro"}),
        "epsilon": table.epsilon_micro / MICRO,
    }


def _group(group: Group, reading: Reading) -> dict[str, Any]:
    """Return a group's line; without a value there is no number, whatever the cause."""
    values: dict[str, Any] = {}
    if reading.value is not None:
        values["Support"] = {
            "mean": reading.value.mean,
            "interval": list(reading.value.interval),
            "half_width": reading.value.half_width,
            "noise_half_width": reading.value.noise_half_width,
            "basis": reading.value.basis,
        }
    return {"name": group.name, "level": group.level, "state": reading.state, "values": values}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "form": verdict.form,
        "sentence": verdict_title(verdict),
        "reasons": list(verdict_reasons(verdict)),
        "difference": verdict.difference,
        "interval": list(verdict.interval) if verdict.interval is not None else None,
        "claim": verdict.claim,
        "record_check": verdict.record_check,
        "how_sure": verdict.sureness,
        "how_sure_words": sureness(verdict),
    }


def _explanation(found: Explanation) -> dict[str, Any]:
    interval = [found.low, found.high] if found.low is not None and found.high is not None else None
    return {"name": found.name, "state": found.state, "value": found.value, "interval": interval}
