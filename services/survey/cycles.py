"""What HR may ask of survey: draft a cycle, open it, close it, have it released, look at its state."""

import secrets
from dataclasses import dataclass
from typing import Protocol

from services.kit.clock import Clock
from services.kit.keys import Identity
from services.protocol.commitments import MERKLE_ABOVE, SECRET_BYTES
from services.protocol.encoding import b64, canonical
from services.protocol.frame import Frame, SheetCounts
from services.protocol.manifest import Manifest, written
from services.protocol.messages import ManifestUpload, Proposal, ReleaseState
from services.protocol.plan import CATALOGUE
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument
from services.survey.core.cycle import State
from services.survey.core.draft import Draft, Options, commit_sheet, make_manifest, sheet_values
from services.survey.core.drafting import draft_cycle
from services.survey.core.results import parse_results
from services.survey.core.roster import parse_roster
from services.survey.flow import PhoneFlow, code_hash
from services.survey.inbox import Inbox
from services.survey.issuers import IssuerFolder
from services.survey.peers import Peers
from services.survey.tables import Cycle, Member, Secret

CODE_BYTES = 16
ROUNDED_TO = 5


@dataclass(frozen=True)
class File:
    """An uploaded file: its display name and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Link:
    """The personal link of one invited rep; it exists in full only in this answer."""

    employee_id: str
    email: str
    link: str


@dataclass(frozen=True)
class Opened:
    """What HR gets when a cycle opens."""

    fingerprint: str
    links: tuple[Link, ...]


class CycleStore(Protocol):
    """What this flow needs of the store."""

    def add_cycle(self, cycle: Cycle, members: list[Member]) -> None:
        """Store a draft with its members."""

    def cycle(self, cycle_id: str) -> Cycle | None:
        """Return a cycle."""

    def members(self, cycle_id: str) -> list[Member]:
        """Return the members of a cycle."""

    def secrets(self, cycle_id: str) -> dict[tuple[str, int], bytes]:
        """Return the value secrets of a cycle."""

    def prepare_cycle(self, cycle_id: str, manifest: str, value_secrets: list[Secret]) -> None:
        """Store the manifest and value secrets of a draft before anyone else sees them."""

    def open_cycle(self, cycle_id: str, manifest: str, codes: dict[int, bytes]) -> bool:
        """Open a draft."""

    def counts(self, cycle_id: str) -> tuple[int, dict[str, int]]:
        """Return passes taken and envelopes per sheet."""

    def close_cycle(self, cycle_id: str, closed: str) -> bool:
        """Close an open cycle."""

    def finish_close(self, cycle_id: str, frame: str) -> None:
        """Keep the frame and erase who took passes."""

    def mark_released(self, cycle_id: str) -> None:
        """Note the release."""

    def mix(self) -> None:
        """Remove traces of order."""


class CycleFlow:
    """HR's calls."""

    def __init__(
        self,
        store: CycleStore,
        inbox: Inbox,
        phones: PhoneFlow,
        issuers: IssuerFolder,
        peers: Peers,
        identity: Identity,
        clock: Clock,
        *,
        url: str,
    ) -> None:
        self._store, self._inbox, self._phones, self._issuers = store, inbox, phones, issuers
        self._peers, self._identity, self._clock, self._url = peers, identity, clock, url
        self._live: dict[str, tuple[str, dict[str, int | None]]] = {}

    def draft(self, roster: File, results: File, options: Options) -> tuple[str, Draft]:
        """Check both files whole and store a draft; a bad line refuses all of it."""
        parsed_roster = parse_roster(roster.data, file=roster.name)
        parsed_results = parse_results(results.data, file=results.name, roster=parsed_roster)
        draft, values = draft_cycle(parsed_roster, parsed_results, options)
        cycle_id = secrets.token_hex(8)
        # The place on the roster is random: it must not follow the order of the file.
        numbers = list(range(len(parsed_roster.reps)))
        secrets.SystemRandom().shuffle(numbers)
        members = [
            Member(
                cycle=cycle_id,
                number=number,
                employee_id=rep.employee_id,
                email=rep.email,
                language=rep.language or "en",
                group=value.group,
                attainment=value.attainment,
                activity=value.activity,
                hit=value.hit,
            )
            for number, rep, value in zip(numbers, parsed_roster.reps, values, strict=True)
        ]
        self._store.add_cycle(Cycle(id=cycle_id, state=State.DRAFT, draft=draft.model_dump_json()), members)
        return cycle_id, draft

    def open(self, cycle_id: str) -> Opened:
        """Open a draft: keys, secrets, a manifest with both signatures, links. Safe to repeat."""
        cycle = self._cycle(cycle_id, State.DRAFT)
        if cycle.manifest is None:
            self._prepare(cycle_id, Draft.model_validate_json(cycle.draft))
            cycle = self._cycle(cycle_id, State.DRAFT)
        assert cycle.manifest is not None
        signed = SignedDocument.model_validate_json(cycle.manifest)
        manifest = Manifest.model_validate(signed.document)
        both = self._peers.countersign(cycle_id, self._upload(signed, manifest))
        if both.document != signed.document or "aggregate" not in both.signatures:
            raise Problem("conflict", "Aggregate answered with another manifest.")
        self._peers.show_manifest(cycle_id, both)
        members = self._store.members(cycle_id)
        codes = {member.number: secrets.token_urlsafe(CODE_BYTES) for member in members}
        hashes = {number: code_hash(cycle_id, code) for number, code in codes.items()}
        if not self._store.open_cycle(cycle_id, both.model_dump_json(), hashes):
            raise Problem("cycle-state", "The cycle is open already; its links were given out once.")
        links = [Link(m.employee_id, m.email, f"{self._url}/s/{cycle_id}#{codes[m.number]}") for m in members]
        ordered = sorted(links, key=lambda link: link.employee_id)
        return Opened(fingerprint=manifest.fingerprint(), links=tuple(ordered))

    async def close(self, cycle_id: str) -> None:
        """Close a cycle, mix its box and freeze its frame. Safe to repeat."""
        self._cycle(cycle_id, State.OPEN, State.CLOSED)
        self._store.close_cycle(cycle_id, written(self._clock()))
        self._phones.forget(cycle_id)
        cycle = self._cycle(cycle_id, State.CLOSED)
        if cycle.frame is None:
            frame = await self._inbox.exclusively(lambda: self._make_frame(cycle))
            self._store.finish_close(cycle_id, frame.model_dump_json())
        await self._inbox.exclusively(self._store.mix)

    def release(self, cycle_id: str) -> ReleaseState:
        """Have a closed cycle released, or say how far that is."""
        cycle = self._cycle(cycle_id, State.CLOSED, State.RELEASED)
        if cycle.frame is None:
            raise Problem("cycle-state", "The close has not finished yet. Close it again.")
        return self._note(cycle_id, self._peers.release(cycle_id))

    def release_state(self, cycle_id: str) -> ReleaseState:
        """Say how far the release of a cycle is."""
        self._cycle(cycle_id, State.OPEN, State.CLOSED, State.RELEASED)
        return self._note(cycle_id, self._peers.release_state(cycle_id))

    def live(self, cycle_id: str) -> dict[str, int | None]:
        """Return passes and sheets company-wide: one figure an hour, rounded down, hidden below k."""
        cycle = self._cycle(cycle_id, *State)
        hour = self._clock().strftime("%Y-%m-%dT%H")
        if self._live.get(cycle_id, ("", {}))[0] != hour:
            draft = Draft.model_validate_json(cycle.draft)
            issued, received = self._store.counts(cycle_id)
            counts = {"passes": issued, **received}
            self._live[cycle_id] = (
                hour,
                {
                    name: count // ROUNDED_TO * ROUNDED_TO if count >= draft.options.k else None
                    for name, count in counts.items()
                },
            )
        return self._live[cycle_id][1]

    def state(self, cycle_id: str) -> str:
        """Return the state of a cycle."""
        return self._cycle(cycle_id, *State).state

    def frame(self, cycle_id: str) -> SignedDocument:
        """Return the signed frame of a closed cycle."""
        cycle = self._cycle(cycle_id, State.CLOSED, State.RELEASED)
        if cycle.frame is None:
            raise Problem("cycle-state", "The close has not finished yet.")
        return SignedDocument.model_validate_json(cycle.frame)

    def _cycle(self, cycle_id: str, *states: State) -> Cycle:
        cycle = self._store.cycle(cycle_id)
        if cycle is None:
            raise Problem("not-found")
        if cycle.state not in states:
            raise Problem("cycle-state", f"The cycle is {cycle.state}.")
        return cycle

    def _prepare(self, cycle_id: str, draft: Draft) -> None:
        sheets = draft.plan.sheets
        issuers = self._issuers.make(cycle_id, sheets)
        proposal = Proposal(
            cycle=cycle_id,
            company=draft.options.company,
            k=draft.options.k,
            invited=draft.invited,
            groups=draft.groups,
            plan=draft.plan,
            opens=draft.options.opens,
        )
        opening_keys = self._peers.propose(proposal).opening_keys
        value_secrets = {
            (sheet, value): secrets.token_bytes(SECRET_BYTES)
            for sheet in sheets
            for value in sheet_values(draft, CATALOGUE[sheet].context)
        }
        manifest = make_manifest(
            draft,
            cycle=cycle_id,
            issuer_keys={sheet: key.spki for sheet, key in issuers.items()},
            opening_keys=opening_keys,
            sheet_commitments={sheet: self._committed(draft, sheet, value_secrets) for sheet in sheets},
        )
        signed = SignedDocument(
            document=manifest.model_dump(mode="json"),
            signatures={"survey": self._identity.sign("manifest", manifest.encode())},
        )
        rows = [
            Secret(cycle=cycle_id, sheet=sheet, value=value, secret=secret)
            for (sheet, value), secret in value_secrets.items()
        ]
        self._store.prepare_cycle(cycle_id, signed.model_dump_json(), rows)

    def _committed(
        self, draft: Draft, sheet: str, value_secrets: dict[tuple[str, int], bytes]
    ) -> tuple[bytes, ...]:
        values = sheet_values(draft, CATALOGUE[sheet].context)
        return commit_sheet(sheet, values, {value: value_secrets[sheet, value] for value in values})

    def _upload(self, signed: SignedDocument, manifest: Manifest) -> ManifestUpload:
        stored = self._store.secrets(manifest.cycle)
        return ManifestUpload(
            signed=signed,
            commitments={
                spec.name: tuple(
                    b64(commitment)
                    for commitment in commit_sheet(
                        spec.name, spec.values, {value: stored[spec.name, value] for value in spec.values}
                    )
                )
                for spec in manifest.sheets
                if len(spec.values) > MERKLE_ABOVE
            },
        )

    def _make_frame(self, cycle: Cycle) -> SignedDocument:
        assert cycle.manifest is not None
        assert cycle.closed is not None
        manifest = Manifest.model_validate(SignedDocument.model_validate_json(cycle.manifest).document)
        issued, received = self._store.counts(cycle.id)
        frame = Frame(
            cycle=cycle.id,
            manifest_hash=manifest.hash().hex(),
            closed=cycle.closed,
            sheets={
                spec.name: SheetCounts(issued=issued, received=received.get(spec.name, 0))
                for spec in manifest.sheets
            },
            records=Draft.model_validate_json(cycle.draft).records,
        )
        document = frame.model_dump(mode="json")
        return SignedDocument(
            document=document, signatures={"survey": self._identity.sign("frame", canonical(document))}
        )

    def _note(self, cycle_id: str, state: ReleaseState) -> ReleaseState:
        if state.state == "released":
            self._store.mark_released(cycle_id)
        return state
