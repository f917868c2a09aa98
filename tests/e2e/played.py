"""One whole cycle with phones of every kind: honest, changing their mind, retrying, forging, and robbed.

Everybody says the same (``SAID``), so that what is published can be compared with what was said even
though every number is noisy.
"""

import asyncio
import csv
import io
import sqlite3
from collections import Counter
from dataclasses import dataclass, field

import httpx

from services.protocol.manifest import Manifest
from services.protocol.messages import ReceiptLists, ReleaseState
from services.protocol.plan import (
    SUPPORT_RESULT,
)
from services.protocol.receipts import Outcome
from services.protocol.release import Release
from services.protocol.release import parse as parse_release
from services.protocol.signed import SignedDocument
from services.rehearsal.hr import Hr
from services.rehearsal.links import Link, links_of
from services.rehearsal.phone import CycleView, Declined, Line, Phone, Response, fetch_manifest
from services.rehearsal.workforce import make_workforce
from tests.e2e.hostile import FORGERIES, HostilePhone
from tests.e2e.stages import Services, options

REPS, SILENT, AT_ONCE = 80, 6, 8
SAID = Response({f"{letter}{i}": choice for letter, choice in zip("CAMS", (5, 3, 5, 1), strict=True)
                 for i in range(1, 7) if letter == "S" or i < 5}, flag=2)  # fmt: skip
SAID_FIRST = Response({f"S{i}": 5 for i in range(1, 7)}, flag=7)


@dataclass
class Played:
    """What went in, what was seen on the way, and what came out."""

    services: Services
    cycle: str
    fingerprint: str
    links: list[Link]
    phones: dict[str, HostilePhone] = field(default_factory=dict)
    gone: dict[str, dict[str, str]] = field(default_factory=dict)
    stored: dict[str, dict[str, bool]] = field(default_factory=dict)
    repeated: dict[str, bool] = field(default_factory=dict)
    declined: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    view: CycleView = field(init=False)
    asked_again: ReleaseState = field(init=False)
    signed_release: SignedDocument = field(init=False)
    lists: ReceiptLists = field(init=False)

    @property
    def manifest(self) -> Manifest:
        """The manifest that the phones checked."""
        return self.view.manifest

    @property
    def release(self) -> Release:
        """The release."""
        return parse_release(self.signed_release.document)

    def fates(self, sheet: str) -> dict[str, Outcome]:
        """Return, by envelope hash, what must become of one sheet of every phone."""
        return {
            phone.receipts[sheet].hash: outcome_of(role, sheet)
            for role, phone in self.phones.items()
            if sheet in phone.receipts and not (role == "robbed" and sheet == SUPPORT_RESULT)
        }

    def rejections(self, sheet: str) -> dict[str, int]:
        """Return the forged envelopes of one sheet by reason."""
        return dict(Counter(f.reason for f in FORGERIES.values() if f.sheet == sheet))

    def counted_in_cells(self, sheet: str) -> int:
        """Return how many counted sheets are not blank."""
        return sum(
            phone.says_something(sheet)
            for role, phone in self.phones.items()
            if phone.receipts and self.fates(sheet).get(phone.receipts[sheet].hash) == "counted"
        )


def outcome_of(role: str, sheet: str) -> Outcome:
    """Return what must become of a sheet of the phone with this role."""
    if role == "withdraws":
        return "withdrawn"
    return "rejected" if role in FORGERIES and FORGERIES[role].sheet == sheet else "counted"


def play(services: Services) -> Played:
    """Run the cycle from files to release."""
    with services.hr() as hr:
        played = opened_cycle(services, hr)
        asyncio.run(collect(played))
        hr.close(played.cycle)
        asyncio.run(too_late(played))
        hr.release(played.cycle, lambda words: None)
    with services.signed("survey", "aggregate") as survey:
        again = survey.post(f"/internal/cycles/{played.cycle}/release")
    played.asked_again = ReleaseState.model_validate(again.json())
    aggregate = f"{services.stage.aggregate}/api"
    played.signed_release = SignedDocument.model_validate(get(f"{aggregate}/releases/{played.cycle}").json())
    played.lists = ReceiptLists.model_validate(get(f"{aggregate}/cycles/{played.cycle}/receipts").json())
    return played


def opened_cycle(services: Services, hr: Hr) -> Played:
    """Open a cycle of 80 reps in two regions."""
    workforce = make_workforce(reps=REPS, world="seeds", seed=11, response=1.0)
    roster = ("roster.csv", in_two_regions(workforce.roster_csv))
    chosen = options(plan="finer", response=1.0)
    cycle = hr.draft(roster, ("results.csv", workforce.results_csv), chosen).cycle
    opened = hr.open(cycle)
    return Played(services, cycle, opened.fingerprint, links_of(opened, services.stage))


def in_two_regions(roster: bytes) -> bytes:
    """Return a roster whose reps are in two regions of one size."""
    rows = list(csv.DictReader(io.StringIO(roster.decode(), newline="")))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for number, row in enumerate(rows):
        writer.writerow({**row, "region": ("North", "South")[number % 2]})
    return text.getvalue().encode()


async def collect(played: Played) -> None:
    """Let every phone do what its role says."""
    async with httpx.AsyncClient(timeout=60.0, trust_env=False) as client:
        line, first = Line(client), played.links[0]
        played.view = await fetch_manifest(
            line,
            survey=first.survey,
            aggregate=first.aggregate,
            cycle=first.cycle,
            pinned=first.pinned,
            fingerprint=played.fingerprint,
        )
        roles = [*JOURNEYS, *FORGERIES]
        roles += [f"honest {number}" for number in range(REPS - SILENT - len(roles))]
        phones = (HostilePhone(line, played.view, link.code) for link in played.links)
        played.phones = dict(zip(roles, phones, strict=False))
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(role: str, phone: HostilePhone) -> None:
            async with turns:
                await JOURNEYS.get(role, takes_part)(played, role, phone)

        await asyncio.gather(*(one(role, phone) for role, phone in played.phones.items()))


async def takes_part(played: Played, role: str, phone: HostilePhone) -> None:
    """Answer once; a forger forges one of the sheets."""
    await phone.session()
    phone.answer(SAID)
    await phone.take_tokens()
    phone.seal()
    if role in FORGERIES:
        phone.forge(FORGERIES[role])
    await phone.send()


async def replaces(played: Played, role: str, phone: HostilePhone) -> None:
    """Say something else first, replace it, and send the old envelopes once more."""
    await phone.take_part(SAID_FIRST)
    old = phone.sealed
    played.gone[role] = {name: receipt.hash for name, receipt in phone.receipts.items()}
    await phone.replace(SAID)
    played.declined[role] = [await refusal(phone, data) for data in old.values()]
    played.stored[role] = await phone.check_receipts()


async def withdraws(played: Played, role: str, phone: HostilePhone) -> None:
    """Take everything back."""
    await phone.take_part(SAID)
    played.gone[role] = {name: receipt.hash for name, receipt in phone.receipts.items()}
    await phone.withdraw()
    played.stored[role] = await phone.check_receipts()


async def comes_back(played: Played, role: str, phone: HostilePhone) -> None:
    """Take everything back, then answer after all."""
    await withdraws(played, role, phone)
    await phone.replace(SAID)


async def resends(played: Played, role: str, phone: HostilePhone) -> None:
    """Send the same bytes three times, also after the passes were asked for once more."""
    await phone.take_part(SAID)
    first = dict(phone.receipts)
    await phone.take_tokens()
    await phone.send()
    await phone.send()
    played.repeated[role] = phone.receipts == first
    played.stored[role] = await phone.check_receipts()


async def robbed(played: Played, role: str, phone: HostilePhone) -> None:
    """Take part, and look again after survey's operator has taken one sheet out of the box."""
    await phone.take_part(SAID)
    taken = bytes.fromhex(phone.receipts[SUPPORT_RESULT].hash)
    database = played.services.folder / "survey" / "survey.db"
    with sqlite3.connect(database, timeout=10.0) as connection:
        connection.execute("DELETE FROM box WHERE envelope_hash = ?", (taken,))
    connection.close()
    played.stored[role] = await phone.check_receipts()


async def votes_twice(played: Played, role: str, phone: HostilePhone) -> None:
    """Take part, then try to get a second set of passes with the same link."""
    await phone.take_part(SAID)
    second = HostilePhone(phone.line, phone.view, phone.code)
    try:
        await second.take_part(SAID)
    except Declined as declined:
        played.declined[role] = [(declined.kind, declined.status)]


async def takes_passes_only(played: Played, role: str, phone: HostilePhone) -> None:
    """Get passes and send nothing."""
    await phone.session()
    phone.answer(SAID)
    await phone.take_tokens()


JOURNEYS = {
    "replaces": replaces,
    "withdraws": withdraws,
    "comes back": comes_back,
    "resends": resends,
    "robbed": robbed,
    "votes twice": votes_twice,
    "takes passes only": takes_passes_only,
}


async def too_late(played: Played) -> None:
    """Try everything once more after the close."""
    async with httpx.AsyncClient(timeout=60.0, trust_env=False) as client:
        line = Line(client)
        late = HostilePhone(line, played.view, played.links[-1].code)
        try:
            await late.session()
        except Declined as declined:
            played.declined["late session"] = [(declined.kind, declined.status)]
        phone = played.phones["takes passes only"]
        phone.line = line
        phone.seal()
        played.declined["late sheets"] = [await refusal(phone, data) for data in phone.sealed.values()]


async def refusal(phone: Phone, data: bytes) -> tuple[str, int]:
    """Send an envelope that must be refused; return the kind of problem and its status."""
    try:
        await phone.line.call("POST", phone.view.address("envelopes"), data, "application/octet-stream")
    except Declined as declined:
        return declined.kind, declined.status
    return "accepted", 201


def get(address: str) -> httpx.Response:
    """Return the answer of an open address."""
    with httpx.Client(timeout=30.0, trust_env=False) as client:
        return client.get(address)
