"""What aggregate insists on before it believes survey: proposals, manifests, frames and totals."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from services.aggregate.accounts import Line
from services.aggregate.core.charges import charges, company_key, ledger_year, line_key
from services.aggregate.core.records import InvalidRecords, check_records
from services.aggregate.core.rules import InvalidRules, SheetRules, rules_of
from services.aggregate.core.tally import Tally
from services.aggregate.store import Cycle
from services.protocol import frame as frames
from services.protocol import manifest as manifests
from services.protocol.encoding import InvalidEncoding, unb64
from services.protocol.frame import Frame, SheetCounts
from services.protocol.manifest import InvalidManifest, Manifest, instant
from services.protocol.messages import ManifestUpload, Proposal
from services.protocol.parts import check_group_sizes, check_groups
from services.protocol.plan import CATALOGUE, MECHANISM_VERSION, SUPPORT_GROUP, Plan
from services.protocol.problems import Problem
from services.protocol.signed import InvalidSignedDocument, SignedDocument, check_document

PROMISED = ("company", "k", "invited", "groups", "plan", "opens")
"""What a manifest must repeat of its proposal, to the letter."""

OPENED_AT_MOST, OPENS_WITHIN = timedelta(days=1), timedelta(days=90)
"""How far an opening may lie behind and ahead of its proposal."""

OPEN_AT_MOST = timedelta(days=180)
"""How long after its opening a cycle may close at the latest."""

CLOCKS_DIFFER_BY = timedelta(minutes=5)
"""How far survey's clock may be ahead of this one."""


def price(proposal: Proposal, now: datetime) -> tuple[Line, ...]:
    """Return the ledger lines of a proposal made now, or refuse one that could not become a cycle."""
    _check_opening(proposal.opens, now)
    _check_plan(proposal.plan)
    _check_groups(proposal)
    reporting = [group for group in proposal.groups if group.level == "group"]
    company, year = company_key(proposal.company), ledger_year(now)
    key = line_key(company, proposal.cycle, proposal.groups, proposal.plan)
    asked = charges(proposal.plan, reporting, invited=proposal.invited)
    return tuple(Line(company, key, year, charge) for charge in asked)


def _check_opening(opens: str, now: datetime) -> None:
    """Refuse a cycle that doesn't open about now: what a year's account pays for stays near that year."""
    try:
        opening = instant(opens)
    except InvalidManifest:
        raise Problem("input", "The opening time is not written as 2026-01-31T12:00:00Z.") from None
    if opening < now - OPENED_AT_MOST:
        raise Problem("input", "The opening lies more than a day in the past.")
    if opening > now + OPENS_WITHIN:
        raise Problem("input", f"The opening is more than {OPENS_WITHIN.days} days away.")


def _check_plan(plan: Plan) -> None:
    known = [t.sheet in CATALOGUE and t.table == CATALOGUE[t.sheet].table for t in plan.tables]
    if not known or not all(known) or len(set(plan.sheets)) != len(plan.sheets):
        raise Problem("input", "The plan must name known tables, each once, and at least one.")
    if plan.mechanism_version != MECHANISM_VERSION:
        raise Problem("input", "The plan names another mechanism than the one that is installed here.")


def _check_groups(proposal: Proposal) -> None:
    """Refuse a tree that no manifest may have: its budget would be reserved for nothing."""
    sizes = [group.invited for group in proposal.groups if group.level == "group"]
    try:
        check_groups(proposal.groups)
        check_group_sizes(proposal.groups, proposal.invited)
    except InvalidManifest:
        sentence = "The groups are not one tree below the company that holds all invited, each once."
        raise Problem("input", sentence) from None
    if SUPPORT_GROUP in proposal.plan.sheets and min(sizes, default=0) < proposal.k:
        raise Problem("input", "A table by group needs groups of at least k invited.")


def check_upload(upload: ManifestUpload, cycle: Cycle, survey_key: bytes) -> Manifest:
    """Return the manifest in an upload if it is survey's and keeps to what was proposed."""
    manifest = _read_manifest(upload.signed, survey_key)
    proposal = cycle.proposal
    if manifest.cycle != proposal.cycle:
        raise Problem("conflict", "The manifest is that of another cycle.")
    for name in PROMISED:
        if getattr(manifest, name) != getattr(proposal, name):
            raise Problem("conflict", f"The manifest's {name} is not what was proposed.")
    if instant(manifest.latest_close) > instant(manifest.opens) + OPEN_AT_MOST:
        raise Problem("input", f"The latest close is more than {OPEN_AT_MOST.days} days after the opening.")
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


def check_frame(signed: SignedDocument, manifest: Manifest, survey_key: bytes, now: datetime) -> Frame:
    """Return the frame of a closed cycle if it is survey's and fits the manifest in all it says."""
    frame = _read_frame(signed, survey_key)
    if (frame.cycle, frame.manifest_hash) != (manifest.cycle, manifest.hash().hex()):
        raise Problem("conflict", "The frame is that of another cycle or manifest.")
    if set(frame.sheets) != set(manifest.plan.sheets):
        raise Problem("conflict", "The frame does not count the sheets of the plan.")
    for counts in frame.sheets.values():
        hold_if(counts.issued > manifest.invited, "More passes were issued than reps invited.")
        lost_count = frame.restored and counts.issued < manifest.invited
        hold_if(lost_count, "Survey was restored and can't know of fewer passes than reps invited.")
    _check_close(frame, manifest, now)
    try:
        check_records(frame.records, manifest)
    except InvalidRecords as error:
        raise held(f"The records in the frame break a rule: {error}.") from None
    return frame


def _check_close(frame: Frame, manifest: Manifest, now: datetime) -> None:
    """Hold a release of a cycle that was closed before reps had the time they were promised.

    A rehearsal says in its manifest that it may be closed at any moment.
    """
    try:
        closed = instant(frame.closed)
    except InvalidManifest:
        raise Problem("conflict", "The frame does not have the expected form.") from None
    promised = instant(manifest.opens if manifest.rehearsal else manifest.closes)
    hold_if(closed < promised, "The cycle was closed before its time.")
    hold_if(closed > instant(manifest.latest_close), "The cycle was closed after its latest close.")
    early = not manifest.rehearsal and now < promised - CLOCKS_DIFFER_BY
    hold_if(early, "By the clock of this service the cycle is still open.")


def check_tally(tally: Tally, counts: SheetCounts) -> None:
    """Hold a release whose sheets are not those the frame announces, or more than passes were issued.

    The frame has no more passes than reps were invited; a survey that was restored has lost count of its
    passes, and its frame says as many (decision record 0019).
    """
    hold_if(tally.received != counts.received, "A box does not hold what survey's frame says.")
    hold_if(
        tally.counted + tally.withdrawn > counts.issued,
        "More valid sheets came in than passes were issued.",
    )


def hold_if(condition: bool, sentence: str) -> None:
    """Hold a release for a reason that its operator may read."""
    if condition:
        raise held(sentence)


def held(sentence: str) -> Problem:
    """Return the refusal of a release."""
    return Problem("conflict", f"{sentence} The release is held.")


def _read_manifest(signed: SignedDocument, survey_key: bytes) -> Manifest:
    try:
        check_document(signed, "manifest", {"survey": survey_key})
        return manifests.parse(signed.document)
    except InvalidSignedDocument:
        raise Problem("input", "The manifest is not signed by survey.") from None
    except InvalidManifest:
        raise Problem("input", "The manifest breaks a public rule of its format.") from None


def _read_frame(signed: SignedDocument, survey_key: bytes) -> Frame:
    try:
        check_document(signed, "frame", {"survey": survey_key})
        return frames.parse(signed.document)
    except InvalidSignedDocument:
        raise Problem("conflict", "The frame is not signed by survey.") from None
    except frames.InvalidFrame:
        raise Problem("conflict", "The frame does not have the expected form.") from None
