"""Survey's box: every sheet is whole and stands under its own token; counts are those of the frames."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError
from sqlalchemy import Connection, Row, Table, func, select

from services.operation.checks import Check, check
from services.protocol import envelope, token
from services.protocol.frame import Frame
from services.protocol.manifest import Manifest
from services.protocol.receipts import receipt_hash
from services.protocol.signed import InvalidSignedDocument, Service, SignedDocument, check_document

RESTORE = "Restore the newest backup, or make the cycle void."
ROWS = 1000
Keys = Mapping[Service, bytes]
Stored = Row[str, str, bytes, int, bytes, bytes]


@dataclass(frozen=True)
class _Cycle:
    """A cycle as its sheets need it."""

    manifest: Manifest
    manifest_hash: bytes
    verifiers: Mapping[str, token.Verifier]


def check_box(connection: Connection, tables: Mapping[str, Table], keys: Keys, *, deep: bool) -> list[Check]:
    """Check survey's cycles and box; ``deep`` verifies the token and signature of every sheet as well."""
    rows = connection.execute(select(tables["cycle"])).mappings().all()
    cycles, wrong = dict[str, _Cycle](), []
    for row in rows:
        if row["manifest"] is not None:
            signers: tuple[Service, ...] = ("survey",) if row["state"] == "draft" else ("survey", "aggregate")
            manifest = _manifest(row["manifest"], {name: keys[name] for name in signers})
            if manifest is None:
                wrong.append(f"The manifest of cycle {row['id']} is not signed by both services. {RESTORE}")
            else:
                cycles[row["id"]] = _cycle(manifest)
    bad = _bad_sheets(connection, tables["box"], cycles, deep=deep)
    sheets = "every sheet in the box is whole, under its own token" + (", and signed" if deep else "")
    frames = [
        said for row in rows for said in _frame(connection, tables["box"], row["id"], row["frame"], keys)
    ]
    return [
        check("every manifest has both signatures", wrong),
        check(sheets, [f"Cycle {c}: {n} sheets are damaged. {RESTORE}" for c, n in sorted(bad.items())]),
        check("closed cycles hold as many sheets as their frames say", frames),
    ]


def _bad_sheets(
    connection: Connection, box: Table, cycles: Mapping[str, _Cycle], *, deep: bool
) -> dict[str, int]:
    """Return how many sheets of each cycle are damaged."""
    at, bad = box.c, dict[str, int]()
    query = select(at.cycle, at.sheet, at.nonce, at.counter, at.envelope_hash, at.envelope)
    for row in connection.execute(query, execution_options={"yield_per": ROWS}):
        cycle = cycles.get(row.cycle)
        if cycle is None or not _is_whole(cycle, row, deep=deep):
            bad[row.cycle] = bad.get(row.cycle, 0) + 1
    return bad


def _is_whole(cycle: _Cycle, row: Stored, *, deep: bool) -> bool:
    data, manifest = bytes(row.envelope), cycle.manifest
    try:
        parsed = envelope.parse(data, length=manifest.envelope_length, suite=manifest.suite)
        fields = token.parse(parsed.token)
        spec = manifest.sheet(row.sheet)
        if deep:
            envelope.verify(parsed, token_nonce=cycle.verifiers[row.sheet].verify(parsed.token))
    except (envelope.InvalidEnvelope, token.InvalidToken, StopIteration, KeyError):
        return False
    return (parsed.counter, receipt_hash(data), fields.key_id) == (
        row.counter,
        bytes(row.envelope_hash),
        token.key_id(spec.spki),
    ) and fields.nonce == envelope.nonce(parsed.public_key) == bytes(row.nonce)


def _frame(connection: Connection, box: Table, cycle: str, text: str | None, keys: Keys) -> Iterator[str]:
    """Compare the counts of a closed cycle with its frame."""
    if text is None:
        return
    try:
        signed = SignedDocument.model_validate_json(text)
        check_document(signed, "frame", {"survey": keys["survey"]})
        frame = Frame.model_validate(signed.document)
    except (ValidationError, InvalidSignedDocument):
        yield f"The frame of cycle {cycle} is not signed by survey. {RESTORE}"
        return
    query = select(box.c.sheet, func.count()).where(box.c.cycle == cycle).group_by(box.c.sheet)
    found = {row[0]: row[1] for row in connection.execute(query)}
    announced = {name: counts.received for name, counts in frame.sheets.items() if counts.received}
    if found != announced:
        yield f"The box of cycle {cycle} does not hold what its frame says. {RESTORE}"


def _manifest(text: str, signers: Mapping[Service, bytes]) -> Manifest | None:
    try:
        signed = SignedDocument.model_validate_json(text)
        check_document(signed, "manifest", dict(signers))
        return Manifest.model_validate(signed.document)
    except (ValidationError, InvalidSignedDocument):
        return None


def _cycle(manifest: Manifest) -> _Cycle:
    digest = manifest.hash()
    verifiers = {
        spec.name: token.Verifier(spki=spec.spki, challenge=token.challenge(digest, spec.name))
        for spec in manifest.sheets
    }
    return _Cycle(manifest, digest, verifiers)
