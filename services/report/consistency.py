"""Whether a release fits its manifest: nothing more, nothing less and nothing looser than was promised."""

from services.protocol.manifest import Manifest
from services.protocol.plan import SUPPORT_GROUP
from services.protocol.release import NoisyTable, Release


class InconsistentRelease(ValueError):
    """The release says something else than its manifest allows."""


def check_against(release: Release, manifest: Manifest) -> None:
    """Raise InconsistentRelease unless ``release`` publishes exactly what ``manifest`` promised."""
    digest = manifest.hash().hex()
    _require(release.manifest_hash == digest == release.frame.manifest_hash, "manifest hash")
    _require(release.cycle == manifest.cycle == release.frame.cycle, "cycle")
    _require(release.company == manifest.company, "company")
    _require(set(release.sheets) == set(manifest.plan.sheets), "sheets")
    _require(tuple(table.sheet for table in release.tables) == manifest.plan.sheets, "tables of the plan")
    for table in release.tables:
        _check_table(table, manifest)
    _check_groups(release, manifest)
    _check_ledger(release, manifest)
    activity = release.frame.records.activity_by_attainment
    _require(activity is None or [len(row) for row in activity] == [4, 4, 4], "activity by attainment")


def _check_table(table: NoisyTable, manifest: Manifest) -> None:
    planned, spec = manifest.plan.table(table.sheet), manifest.sheet(table.sheet)
    _require((table.table, table.epsilon_micro) == (planned.table, planned.epsilon_micro), "budget")
    _require((len(table.rows), len(table.columns)) == (spec.field_values, spec.columns), "shape")


def _check_groups(release: Release, manifest: Manifest) -> None:
    """A held group has no number anywhere, and a shown one is not missing."""
    table = release.table(SUPPORT_GROUP)
    groups = tuple(group.id for group in manifest.reporting_groups()) if table is not None else ()
    _require(tuple(group.id for group in release.groups) == groups, "groups")
    for place, group in enumerate(release.groups):
        cells = [row[place] for row in table.noisy_counts] if table and table.noisy_counts else [None]
        _require(all((cell is None) == (group.state == "held") for cell in cells), "a held group's column")


def _check_ledger(release: Release, manifest: Manifest) -> None:
    """A release was paid for as promised: the odds that are printed are read from its ledger lines.

    Where one group holds everybody no coin is tossed; a dry run spends nothing.
    """
    if release.kind == "dry_run":
        _require(release.ledger == (), "a dry run with a ledger line")
        return
    plan, coins = manifest.plan, bool(manifest.separate_groups())
    promised = {
        "answers": (plan.answers_micro, 0.0),
        "participation": (plan.participation_micro, plan.delta) if coins else (0, 0.0),
    }
    for account, (epsilon_micro, delta) in promised.items():
        lines = [line for line in release.ledger if line.account == account]
        _require(sum(line.epsilon_micro for line in lines) == epsilon_micro, "what the ledger says was spent")
        _require(sum(line.delta for line in lines) == delta, "delta in the ledger")


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise InconsistentRelease(f"the release does not fit its manifest: {what}")
