"""What report is asked for: take a signed manifest or release, and read a released cycle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from services.protocol import manifest as manifests
from services.protocol import release as releases
from services.protocol.encoding import canonical, sha256
from services.protocol.manifest import InvalidManifest, Manifest
from services.protocol.messages import ChainReply
from services.protocol.problems import Problem
from services.protocol.release import InvalidRelease, Release
from services.protocol.signed import Purpose, Service, SignedDocument, check_document
from services.report.consistency import InconsistentRelease, check_against
from services.report.reading import Reading, read
from services.report.store import Head, ManifestRecord, ReleaseRecord

R = TypeVar("R")


class NotReleased(Problem):
    """The cycle is known and has no release yet."""

    def __init__(self) -> None:
        super().__init__("cycle-state", "This cycle is not released yet.")


class Records(Protocol):
    """What flow needs of a store: documents are added once and never replaced."""

    def add_manifest(self, record: ManifestRecord) -> bool: ...
    def add_release(self, record: ReleaseRecord) -> bool: ...
    def manifest(self, cycle: str) -> ManifestRecord | None: ...
    def manifests(self) -> list[ManifestRecord]: ...
    def release(self, cycle: str) -> ReleaseRecord | None: ...
    def head(self, company: str) -> Head: ...


@dataclass(frozen=True)
class CycleLine:
    """A cycle in the list of reports: its manifest, and whether there is a release."""

    manifest: Manifest
    released: bool


class Flow:
    """Everything an actor may ask of report."""

    def __init__(self, records: Records, peer_keys: Mapping[Service, bytes]) -> None:
        self._records = records
        self._keys = peer_keys
        # A release never changes, so what was read from it once holds for good.
        self._readings: dict[str, Reading] = {}

    def accept_manifest(self, signed: SignedDocument) -> str:
        """Keep a cycle's manifest, signed by survey and aggregate, and return its hash."""
        body = self._checked(signed, "manifest", "survey", "aggregate")
        try:
            manifest = manifests.parse(signed.document)
        except InvalidManifest:
            raise Problem("malformed", "The manifest does not have the expected form.") from None
        digest = sha256(body).hex()
        self._records.add_manifest(ManifestRecord(manifest.cycle, manifest.company, digest, _text(signed)))
        return digest

    def accept_release(self, signed: SignedDocument) -> tuple[str, bool]:
        """Add a release, signed by aggregate, to its company's chain; return its hash and if it is new."""
        body = self._checked(signed, "release", "aggregate")
        try:
            release = releases.parse(signed.document)
            check_against(release, self._promised(release.cycle))
        except (InvalidRelease, InconsistentRelease):
            raise Problem("malformed", "The release does not fit its form or its manifest.") from None
        digest = sha256(body).hex()
        record = ReleaseRecord(
            release.cycle, release.kind, release.company, digest, release.previous, _text(signed)
        )
        return digest, self._records.add_release(record)

    def chain(self, company: str) -> ChainReply:
        """Return the newest release held for a company, and how many there are."""
        head = self._records.head(company)
        return ChainReply(head=head.hash, length=head.length)

    def manifest_document(self, cycle: str) -> SignedDocument:
        """Return a cycle's manifest with its signatures."""
        return SignedDocument.model_validate_json(_found(self._records.manifest(cycle)).signed)

    def manifest(self, cycle: str) -> Manifest:
        """Return a cycle's manifest."""
        return _manifest(_found(self._records.manifest(cycle)))

    def release_document(self, cycle: str) -> SignedDocument:
        """Return a cycle's release with its signature."""
        return SignedDocument.model_validate_json(_found(self._records.release(cycle)).signed)

    def report(self, cycle: str) -> Reading:
        """Return what a released cycle says; NotReleased or not-found otherwise."""
        if cycle not in self._readings:
            manifest, record = self.manifest(cycle), self._records.release(cycle)
            if record is None:
                raise NotReleased
            document = SignedDocument.model_validate_json(record.signed).document
            self._readings[cycle] = read(Release.model_validate(document), manifest)
        return self._readings[cycle]

    def cycles(self) -> tuple[CycleLine, ...]:
        """Return every cycle report knows of, the newest first."""
        lines = [
            CycleLine(_manifest(record), self._records.release(record.cycle) is not None)
            for record in self._records.manifests()
        ]
        return tuple(sorted(lines, key=lambda line: (line.manifest.opens, line.manifest.cycle), reverse=True))

    def _promised(self, cycle: str) -> Manifest:
        """Return the manifest a release must keep; without it the release has to come again later."""
        record = self._records.manifest(cycle)
        if record is None:
            raise Problem("cycle-state", "The manifest of this cycle is not here yet.")
        return _manifest(record)

    def _checked(self, signed: SignedDocument, purpose: Purpose, *signers: Service) -> bytes:
        """Return the signed bytes, after checking that every signer signed them."""
        try:
            check_document(signed, purpose, {name: self._keys[name] for name in signers})
            return canonical(signed.document)
        except ValueError:
            # A signature that is missing or does not fit, or numbers that JSON does not have.
            raise Problem("unauthorized", "A signature of the document is missing or does not fit.") from None


def _found(record: R | None) -> R:
    if record is None:
        raise Problem("not-found")
    return record


def _manifest(record: ManifestRecord) -> Manifest:
    return Manifest.model_validate(SignedDocument.model_validate_json(record.signed).document)


def _text(signed: SignedDocument) -> str:
    return canonical(signed.model_dump(mode="json")).decode("utf-8")
