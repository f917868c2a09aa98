"""A small composite company as files and as a draft, with stand-ins for the keys of a manifest."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.protocol.encoding import b64
from services.protocol.plan import CATALOGUE
from services.protocol.token import encode_key
from services.rehearsal.workforce import make_workforce
from services.survey.core.draft import Draft, Options, commit_sheet, sheet_values
from services.survey.core.drafting import draft_cycle
from services.survey.core.results import Results, parse_results
from services.survey.core.roster import Roster, parse_roster

OPTIONS = Options(
    company="Acme",
    title="Spring",
    opens="2026-03-02T09:00:00Z",
    closes="2026-03-16T09:00:00Z",
    latest_close="2026-03-23T09:00:00Z",
)


def small_files(reps: int = 80, **changes: Any) -> tuple[Roster, Results, Options]:
    """Return the parsed files of a composite company, and options."""
    made = make_workforce(reps=reps, world="seeds", seed=11, response=1.0)
    roster = parse_roster(made.roster_csv, file="roster.csv")
    results = parse_results(made.results_csv, file="results.csv", roster=roster)
    return roster, results, OPTIONS.model_copy(update=changes)


def small_draft(reps: int = 80, **changes: Any) -> Draft:
    """Return the draft of a composite company."""
    return draft_cycle(*small_files(reps, **changes))[0]


def stand_in_keys(draft: Draft) -> dict[str, Any]:
    """Return issuer keys, opening keys and commitments for a draft's manifest."""
    sheets = draft.plan.sheets
    private = {sheet: rsa.generate_private_key(65537, 2048) for sheet in sheets}
    points = {sheet: ec.generate_private_key(ec.SECP256R1()).public_key() for sheet in sheets}
    secret = {sheet: bytes([number]) * 32 for number, sheet in enumerate(sheets, start=1)}
    return {
        "issuer_keys": {sheet: encode_key(key.public_key()) for sheet, key in private.items()},
        "opening_keys": {
            sheet: b64(point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
            for sheet, point in points.items()
        },
        "sheet_commitments": {
            sheet: commit_sheet(
                sheet, values, {value: secret[sheet][:-1] + bytes([value]) for value in values}
            )
            for sheet in sheets
            for values in [sheet_values(draft, CATALOGUE[sheet].context)]
        },
    }
