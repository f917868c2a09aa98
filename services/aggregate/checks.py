"""What aggregate insists on before it believes survey: proposals, manifests, frames and totals."""

from collections.abc import Mapping

from services.aggregate.accounts import Line
from services.aggregate.core.charges import charges, ledger_year, line_key
from services.aggregate.core.gate import InvalidGroups
from services.aggregate.core.rules import InvalidRules, SheetRules, rules_of
from services.aggregate.core.tally import Tally
from services.aggregate.store import Cycle
from services.protocol import frame as frames
from services.protocol import manifest as manifests
from services.protocol.encoding import InvalidEncoding, unb64
from services.protocol.frame import Frame, SheetCounts
from services.protocol.manifest import InvalidManifest, Manifest
from services.protocol.messages import ManifestUpload, Proposal
from services.protocol.plan import CATALOGUE, MECHANISM_VERSION
from services.protocol.problems import Problem
from services.protocol.signed import InvalidSignedDocument, SignedDocument, check_document

PROMISED = ("company", "k", "invited", "groups", "plan", "opens")
"""What a manifest must repeat of its proposal, to the letter."""


def price(proposal: Proposal) -> tuple[Line, ...]:
    """Return the ledger lines of a proposal, or refuse one that could not become a cycle."""
    plan = proposal.plan
    known = [t.sheet in CATALOGUE and t.table == CATALOGUE[t.sheet].table for t in plan.tables]
    if not known or not all(known) or len(set(plan.sheets)) != len(plan.sheets):
        raise Problem("input", "The plan must name known tables, each once, and at least one.")
    if plan.mechanism_version != MECHANISM_VERSION:
        raise Problem("input", "The plan names another mechanism than the one that is installed here.")
    groups = [group for group in proposal.groups if group.level == "group"]
    try:
        year = ledger_year(proposal.opens)
        asked = charges(plan, groups, invited=proposal.invited)
    except InvalidManifest:
        raise Problem("input", "The opening time is not written as 2026-01-31T12:00:00Z.") from None
    except InvalidGroups:
        raise Problem("input", "The groups hold more reps than are invited.") from None
    key = line_key(proposal.company, proposal.cycle, proposal.groups, plan)
    return tuple(Line(key, year, charge) for charge in asked)


def check_upload(upload: ManifestUpload, cycle: Cycle, survey_key: bytes) -> Manifest:
    """Return the manifest in an upload if it is survey's and keeps to what was proposed."""
    manifest = _read_manifest(upload.signed, survey_key)
    proposal = cycle.proposal
    if manifest.cycle != proposal.cycle:
        raise Problem("conflict", "The manifest is that of another cycle.")
    for name in PROMISED:
        if getattr(manifest, name) != getattr(proposal, name):
            raise Problem("conflict", f"The manifest's {name} is not what was proposed.")
    if {spec.name: spec.opening_key for spec in manifest.sheets} != cycle.opening_keys:
        raise Problem("conflict", "The manifest names opening keys that were not made for this cycle.")
    rules(manifest, upload.commitments)
    return manifest


def rules(manifest: Manifest, uploaded: Mapping[str, tuple[str, ...]]) -> dict[str, SheetRules]:
    """Return each sheet's rules; ``uploaded`` has the commitments of sheets that publish a root only."""
    if set(uploaded) != {spec.name for spec in manifest.sheets if spec.commitments is None}:
        raise Problem("input", "Commitments are needed for the sheets that publish a root, and no others.")
    try:
        return {
            spec.name: rules_of(
                manifest,
                spec.name,
                [unb64(text, length=32) for text in spec.commitments or uploaded[spec.name]],
            )
            for spec in manifest.sheets
        }
    except (InvalidRules, InvalidEncoding):
        raise Problem("input", "The commitments of a sheet do not fit its manifest.") from None


def check_frame(signed: SignedDocument, manifest: Manifest, survey_key: bytes) -> Frame:
    """Return the frame of a closed cycle if survey signed it, for this manifest and its sheets."""
    try:
        check_document(signed, "frame", {"survey": survey_key})
        frame = frames.parse(signed.document)
    except InvalidSignedDocument:
        raise Problem("conflict", "The frame is not signed by survey.") from None
    except frames.InvalidFrame:
        raise Problem("conflict", "The frame does not have the expected form.") from None
    if (frame.cycle, frame.manifest_hash) != (manifest.cycle, manifest.hash().hex()):
        raise Problem("conflict", "The frame is that of another cycle or manifest.")
    if set(frame.sheets) != set(manifest.plan.sheets):
        raise Problem("conflict", "The frame does not count the sheets of the plan.")
    for counts in frame.sheets.values():
        hold_if(counts.issued > manifest.invited, "More passes were issued than reps invited.")
    return frame


def check_tally(tally: Tally, counts: SheetCounts, manifest: Manifest) -> None:
    """Hold a release whose sheets are not those the frame announces, or more than the invited."""
    hold_if(tally.received != counts.received, "A box does not hold what survey's frame says.")
    hold_if(
        tally.counted + tally.withdrawn > manifest.invited,
        "More valid sheets came in than reps were invited.",
    )


def hold_if(condition: bool, sentence: str) -> None:
    """Hold a release for a reason that its operator may read."""
    if condition:
        raise Problem("conflict", f"{sentence} The release is held.")


def _read_manifest(signed: SignedDocument, survey_key: bytes) -> Manifest:
    try:
        check_document(signed, "manifest", {"survey": survey_key})
        return manifests.parse(signed.document)
    except InvalidSignedDocument:
        raise Problem("input", "The manifest is not signed by survey.") from None
    except InvalidManifest:
        raise Problem("input", "The manifest breaks a public rule of its format.") from None
