"""The links file: personal links with what a phone needs to trust the right services."""

import csv
import io
from dataclasses import dataclass

from services.protocol.encoding import InvalidEncoding, b64, unb64
from services.rehearsal.phone import PinnedKeys
from services.rehearsal.stage import Stage
from services.survey.api import OpenReply
from services.survey.core.csvfile import InputError

COLUMNS = ("employee_id", "email", "link", "fingerprint", "aggregate", "survey_key", "aggregate_key")


@dataclass(frozen=True, repr=False)
class Link:
    """One personal link, taken apart."""

    employee_id: str
    survey: str
    cycle: str
    code: str
    fingerprint: str
    aggregate: str
    pinned: PinnedKeys


def links_of(opened: OpenReply, stage: Stage) -> list[Link]:
    """Return the links of a cycle that has just been opened."""
    return [_link(row, "links", 0) for row in _rows(opened, stage)]


def write_links(opened: OpenReply, stage: Stage) -> str:
    """Return the links file as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(opened, stage))
    return text.getvalue()


def read_links(data: bytes, *, file: str) -> list[Link]:
    """Return the links in a file that ``write_links`` made."""
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error):
        raise InputError("this is not a links file in UTF-8.", file=file, line=1, column=None) from None
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise InputError(f"the columns must be {', '.join(COLUMNS)}.", file=file, line=1, column=None)
    return [_link(row, file, number) for number, row in enumerate(rows, start=2)]


def _rows(opened: OpenReply, stage: Stage) -> list[dict[str, str]]:
    shared = {
        "fingerprint": opened.fingerprint,
        "aggregate": stage.aggregate,
        "survey_key": b64(stage.pinned.survey),
        "aggregate_key": b64(stage.pinned.aggregate),
    }
    return [
        {"employee_id": link.employee_id, "email": link.email, "link": link.link, **shared}
        for link in opened.links
    ]


def _link(row: dict[str, str], file: str, line: int) -> Link:
    try:
        address, code = row["link"].split("#")
        survey, cycle = address.split("/s/")
        pinned = PinnedKeys(unb64(row["survey_key"], length=32), unb64(row["aggregate_key"], length=32))
    except (KeyError, ValueError, AttributeError, InvalidEncoding):
        raise InputError(
            "the link or a key on this line is broken.", file=file, line=line, column="link"
        ) from None
    return Link(row["employee_id"], survey, cycle, code, row["fingerprint"], row["aggregate"], pinned)
