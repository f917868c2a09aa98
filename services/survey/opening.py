"""What HR may ask before reps do: draft a cycle from files, open it, take its links."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from services.kit.keys import Identity
from services.protocol import manifest as manifests
from services.protocol.commitments import MERKLE_ABOVE, SECRET_BYTES
from services.protocol.encoding import b64
from services.protocol.manifest import Manifest
from services.protocol.messages import ManifestUpload, Proposal
from services.protocol.plan import CATALOGUE
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument
from services.survey.core.cycle import State
from services.survey.core.draft import Draft, Options, commit_sheet, make_manifest, sheet_values
from services.survey.core.drafting import draft_cycle
from services.survey.core.results import parse_results
from services.survey.core.roster import parse_roster
from services.survey.flow import code_hash
from services.survey.issuers import IssuerFolder
from services.survey.peers import Peers
from services.survey.tables import Cycle, Member, Secret

CODE_BYTES = 16
Secrets = dict[tuple[str, int], bytes]


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


class OpeningStore(Protocol):
    """What this flow needs of the store."""

    def add_cycle(self, cycle: Cycle, members: list[Member]) -> None:
        """Store a draft with its members."""

    def cycle(self, cycle_id: str) -> Cycle | None:
        """Return a cycle."""

    def members(self, cycle_id: str) -> list[Member]:
        """Return the members of a cycle."""

    def secrets(self, cycle_id: str) -> Secrets:
        """Return the value secrets of a cycle."""

    def prepare_cycle(self, cycle_id: str, manifest: str, value_secrets: list[Secret]) -> None:
        """Store the manifest and value secrets of a draft before anyone else sees them."""

    def open_cycle(self, cycle_id: str, manifest: str, codes: dict[int, bytes]) -> bool:
        """Open a draft."""

    def renew_codes(self, cycle_id: str, codes: dict[int, bytes]) -> bool:
        """Replace the code hashes of an open cycle that nobody has answered."""


class OpeningFlow:
    """From two files to an open cycle."""

    def __init__(
        self, store: OpeningStore, issuers: IssuerFolder, peers: Peers, identity: Identity, *, url: str
    ) -> None:
        self._store, self._issuers, self._peers = store, issuers, peers
        self._identity, self._url = identity, url

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
                **vars(value),
            )
            for number, rep, value in zip(numbers, parsed_roster.reps, values, strict=True)
        ]
        self._store.add_cycle(Cycle(id=cycle_id, state=State.DRAFT, draft=draft.model_dump_json()), members)
        return cycle_id, draft

    def open(self, cycle_id: str) -> Opened:
        """Open a draft: keys, secrets, a manifest with both signatures, links.

        Safe to repeat. If the answer with the links was lost, asking again makes new ones, as long as
        nobody has taken part.
        """
        cycle = self._cycle(cycle_id)
        if cycle.state == State.OPEN:
            return self._renew_links(cycle)
        if cycle.manifest is None:
            self._prepare(cycle_id, Draft.model_validate_json(cycle.draft))
            cycle = self._cycle(cycle_id)
        assert cycle.manifest is not None
        signed = SignedDocument.model_validate_json(cycle.manifest)
        manifest = Manifest.model_validate(signed.document)
        both = self._peers.countersign(cycle_id, self._upload(signed, manifest))
        if both.document != signed.document or "aggregate" not in both.signatures:
            raise Problem("conflict", "Aggregate answered with another manifest.")
        self._peers.show_manifest(cycle_id, both)
        links, hashes = self._make_links(cycle_id)
        if not self._store.open_cycle(cycle_id, both.model_dump_json(), hashes):
            raise Problem("cycle-state", "The cycle has just been opened by another call.")
        return Opened(fingerprint=manifest.fingerprint(), links=links)

    def _cycle(self, cycle_id: str) -> Cycle:
        cycle = self._store.cycle(cycle_id)
        if cycle is None:
            raise Problem("not-found")
        if cycle.state not in (State.DRAFT, State.OPEN):
            raise Problem("cycle-state", f"The cycle is {cycle.state}.")
        if cycle.state == State.DRAFT and cycle.restored:
            # It may have been opened after the backup that is in use now.
            raise Problem("cycle-state", "Survey was restored when this draft was ready. Draft it again.")
        return cycle

    def _prepare(self, cycle_id: str, draft: Draft) -> None:
        sheets = draft.plan.sheets
        issuers = self._issuers.make(cycle_id, sheets)
        opening_keys = self._peers.propose(_proposal(cycle_id, draft)).opening_keys
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
            sheet_commitments={
                sheet: _committed(sheet, sheet_values(draft, CATALOGUE[sheet].context), value_secrets)
                for sheet in sheets
            },
        )
        self._check(manifest)
        signed = SignedDocument(
            document=manifest.model_dump(mode="json"),
            signatures={"survey": self._identity.sign("manifest", manifest.encode())},
        )
        rows = [
            Secret(cycle=cycle_id, sheet=sheet, value=value, secret=secret)
            for (sheet, value), secret in value_secrets.items()
        ]
        self._store.prepare_cycle(cycle_id, signed.model_dump_json(), rows)

    def _check(self, manifest: Manifest) -> None:
        try:
            manifests.check(manifest)
        except manifests.InvalidManifest as error:
            # The budget was reserved a moment ago; a draft that can't open gives it back.
            self._peers.void(manifest.cycle, "The manifest of this draft breaks a public rule.")
            raise Problem("input", f"This draft can't be opened: {error}. No budget was used.") from None

    def _upload(self, signed: SignedDocument, manifest: Manifest) -> ManifestUpload:
        stored = self._store.secrets(manifest.cycle)
        listed = [spec for spec in manifest.sheets if len(spec.values) > MERKLE_ABOVE]
        return ManifestUpload(
            signed=signed,
            commitments={
                spec.name: tuple(b64(each) for each in _committed(spec.name, spec.values, stored))
                for spec in listed
            },
        )

    def _make_links(self, cycle_id: str) -> tuple[tuple[Link, ...], dict[int, bytes]]:
        """Return a new link for every member, and the hashes of the codes in them."""
        members = sorted(self._store.members(cycle_id), key=lambda member: member.employee_id)
        codes = {member.number: secrets.token_urlsafe(CODE_BYTES) for member in members}
        base = f"{self._url}/s/{cycle_id}#"
        links = tuple(Link(m.employee_id, m.email, base + codes[m.number]) for m in members)
        return links, {number: code_hash(cycle_id, code) for number, code in codes.items()}

    def _renew_links(self, cycle: Cycle) -> Opened:
        links, hashes = self._make_links(cycle.id)
        if not self._store.renew_codes(cycle.id, hashes):
            raise Problem("cycle-state", "The cycle is open and somebody has taken part; its links stay.")
        return Opened(fingerprint=cycle.opened().fingerprint(), links=links)


def _proposal(cycle_id: str, draft: Draft) -> Proposal:
    return Proposal(
        cycle=cycle_id,
        company=draft.options.company,
        k=draft.options.k,
        invited=draft.invited,
        groups=draft.groups,
        plan=draft.plan,
        opens=draft.options.opens,
    )


def _committed(
    sheet: str, values: tuple[int, ...], value_secrets: Mapping[tuple[str, int], bytes]
) -> tuple[bytes, ...]:
    return commit_sheet(sheet, values, {value: value_secrets[sheet, value] for value in values})
