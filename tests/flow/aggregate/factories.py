"""What survey sends to aggregate, made up: proposals, manifests, frames."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.kit.keys import Identity
from services.protocol import commitments, token
from services.protocol.encoding import b64, canonical
from services.protocol.frame import Frame, Records, SheetCounts
from services.protocol.manifest import Bands, Group, Instrument, Item, Manifest, SheetSpec, written
from services.protocol.messages import ManifestUpload, Proposal
from services.protocol.plan import CATALOGUE, CONTEXT_WIDTH, make_plan
from services.protocol.signed import Service, SignedDocument

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
COMPANY = "Made-up company"
IDENTITIES: dict[Service, Identity] = {
    "survey": Identity(Ed25519PrivateKey.generate()),
    "aggregate": Identity(Ed25519PrivateKey.generate()),
    "report": Identity(Ed25519PrivateKey.generate()),
}
SMALL = make_plan("balanced", frame=40, contexts=("attainment", "activity", "hit", "group"))
BALANCED = make_plan("balanced", frame=400, contexts=("attainment", "activity", "hit", "group"))
GROUP_SHEET, FLAG_SHEET = SMALL.sheets
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=token.SALT_BYTES)


@cache
def issuer_key(name: str) -> rsa.RSAPrivateKey:
    """Return an issuer key, made once per run."""
    return rsa.generate_private_key(65537, 2048)


@cache
def value_secret(name: str, value: int) -> bytes:
    """Return the secret that certifies a value of a sheet."""
    return secrets.token_bytes(commitments.SECRET_BYTES)


def value_commitments(spec_name: str, values: Sequence[int]) -> tuple[bytes, ...]:
    """Return what the manifest commits to."""
    return tuple(
        commitments.commit(spec_name, commitments.encode_value(value), value_secret(spec_name, value))
        for value in values
    )


def make_groups(sizes: Sequence[int] = (20, 20)) -> tuple[Group, ...]:
    """Return a company with reporting groups of these sizes."""
    company = Group(id="all", parent=None, name="All", level="company", invited=sum(sizes))
    return (
        company,
        *(
            Group(id=f"g{i}", parent="all", name=f"G{i}", level="group", invited=n)
            for i, n in enumerate(sizes)
        ),
    )


def make_proposal(cycle: str = "spring-2026", **changes: Any) -> Proposal:
    """Return what survey asks aggregate to reserve: 40 reps in two groups, tables H and F."""
    fields: dict[str, Any] = {
        "cycle": cycle,
        "company": COMPANY,
        "k": 10,
        "invited": 40,
        "groups": make_groups(),
        "plan": SMALL,
        "opens": written(NOW),
    }
    return Proposal(**{**fields, **changes})


def make_large_proposal(cycle: str = "spring-2026", **changes: Any) -> Proposal:
    """Return a proposal with so many groups that the manifest publishes only a root of their sheet."""
    sizes = (10,) * (commitments.MERKLE_ABOVE + 1)
    return make_proposal(cycle, invited=sum(sizes), groups=make_groups(sizes), **changes)


def make_manifest(proposal: Proposal, opening_keys: Mapping[str, str]) -> Manifest:
    """Return the manifest survey makes of a proposal and aggregate's keys."""
    bands = {name: make_bands(width) for name, width in CONTEXT_WIDTH.items()}
    instrument = Instrument(
        version="made-up",
        items=(Item(id="S1", dimension="support", text="Made up"),),
        flags=tuple(f"Reason {i}" for i in range(1, 12)),
        low_at_most=2.75,
        high_at_least=3.75,
        answered_share=2 / 3,
    )
    groups = tuple(group for group in proposal.groups if group.level == "group")
    return Manifest.model_validate(
        {
            "cycle": proposal.cycle,
            "company": proposal.company,
            "title": "Made up",
            "instrument": instrument,
            "instrument_hash": instrument.digest().hex(),
            "languages": ("en",),
            "mode": "sealed",
            "opens": proposal.opens,
            "closes": written(NOW + timedelta(days=7)),
            "latest_close": written(NOW + timedelta(days=9)),
            "outcome_date": None,
            "k": proposal.k,
            "invited": proposal.invited,
            "frame": proposal.invited,
            "groups": proposal.groups,
            "bands": bands,
            "suite": 1,
            "sheets": tuple(
                make_sheet(name, groups, proposal, bands, opening_keys[name]) for name in proposal.plan.sheets
            ),
            "plan": proposal.plan,
            "delivery": "file",
            "scripts": {},
            "retention": "Made up",
            "sample": False,
            "made_up": True,
            "rehearsal": True,
        }
    )


def make_bands(width: int) -> Bands:
    """Return bands that all stand."""
    numbers = range(width)
    return Bands(
        edges=tuple(float(i) for i in numbers[1:]),
        scores=tuple(float(i) for i in numbers),
        merged_into=tuple(numbers),
        labels=tuple(f"Band {i}" for i in numbers),
    )


def make_sheet(
    name: str,
    groups: Sequence[Group],
    proposal: Proposal,
    bands: Mapping[str, Bands],
    opening_key: str,
) -> SheetSpec:
    """Return one sheet of the manifest."""
    kind = CATALOGUE[name]
    values = tuple(range(len(groups))) if kind.context == "group" else bands[kind.context].live
    invited = (
        tuple(group.invited for group in groups)
        if kind.context == "group"
        else (proposal.invited // len(values),) * len(values)
    )
    leaves = value_commitments(name, values)
    root = len(leaves) > commitments.MERKLE_ABOVE
    return SheetSpec(
        name=name,
        field=kind.field,
        field_values=kind.field_values,
        context=kind.context,
        columns=len(values),
        values=values,
        invited=invited,
        commitments=None if root else tuple(b64(leaf) for leaf in leaves),
        commitment_root=b64(commitments.merkle_root(leaves)) if root else None,
        issuer_key=b64(token.encode_key(issuer_key(name).public_key())),
        opening_key=opening_key,
    )


def make_upload(
    manifest: Manifest, *, signer: Service = "survey", document: dict[str, Any] | None = None
) -> ManifestUpload:
    """Return the manifest as survey sends it."""
    document = manifest.model_dump(mode="json") if document is None else document
    signature = IDENTITIES[signer].sign("manifest", canonical(document))
    return ManifestUpload(
        signed=SignedDocument(document=document, signatures={"survey": signature}),
        commitments={
            spec.name: tuple(b64(leaf) for leaf in value_commitments(spec.name, spec.values))
            for spec in manifest.sheets
            if spec.commitments is None
        },
    )


def make_frame(
    manifest: Manifest,
    boxes: Mapping[str, Sequence[bytes]],
    *,
    signer: Service = "survey",
    counts: Mapping[str, SheetCounts] | None = None,
    **changes: Any,
) -> SignedDocument:
    """Return a signed frame whose counts are those of the boxes, unless told otherwise."""
    records = Records(
        frame=manifest.frame,
        hit_share=None,
        attainment=None,
        activity_by_attainment=None,
        icc_attainment=None,
        mean_team_size=None,
        indicators=(),
        groups=(),
        notes=(),
    )
    totals = {name: SheetCounts(issued=len(box), received=len(box)) for name, box in boxes.items()}
    fields: dict[str, Any] = {
        "cycle": manifest.cycle,
        "manifest_hash": manifest.hash().hex(),
        "closed": written(NOW + timedelta(days=7)),
        "sheets": totals | dict(counts or {}),
        "records": records,
    }
    document = Frame(**{**fields, **changes}).model_dump(mode="json")
    signature = IDENTITIES[signer].sign("frame", canonical(document))
    return SignedDocument(document=document, signatures={"survey": signature})
