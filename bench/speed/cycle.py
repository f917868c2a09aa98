"""An open cycle, and real sealed sheets for it: valid tokens and signatures, made before any clock starts."""

import secrets
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import cast

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from bench.speed.box import Sealing, seal_one
from services.aggregate.core.rules import rules_of
from services.aggregate.workers import end_with_parent
from services.kit.database import Database
from services.kit.keys import load_identity
from services.kit.migrations import upgrade
from services.protocol.encoding import b64, unb64
from services.protocol.manifest import Manifest, written
from services.protocol.messages import ManifestUpload, Proposal, ProposalReply
from services.protocol.signed import SignedDocument
from services.rehearsal.workforce import make_workforce
from services.survey.app import MIGRATIONS
from services.survey.core.draft import Options, commit_sheet
from services.survey.core.issuer import IssuerKey
from services.survey.flow import OpenCycle, open_cycle
from services.survey.issuers import IssuerFolder
from services.survey.opening import File, OpeningFlow
from services.survey.peers import Peers
from services.survey.store import Store
from services.survey.tables import Cycle, Secret

MAKERS = 2
SLICE = 500
BLANK = 0
"""What a sheet says makes no difference to survey: it can't see it."""


@dataclass(frozen=True)
class World:
    """An open cycle: its rows, and survey's folder with the keys of its issuers."""

    folder: Path
    cycle: str
    draft: str
    manifest: str
    secrets: dict[tuple[str, int], bytes]

    def install(self, store: Store) -> None:
        """Put the open cycle into an empty database."""
        rows = [
            Secret(cycle=self.cycle, sheet=sheet, value=value, secret=secret)
            for (sheet, value), secret in self.secrets.items()
        ]
        store.add_cycle(Cycle(id=self.cycle, state="draft", draft=self.draft), [])
        store.prepare_cycle(self.cycle, self.manifest, rows)
        store.open_cycle(self.cycle, self.manifest, {})

    def signed(self) -> SignedDocument:
        """Return the manifest with its signatures."""
        return SignedDocument.model_validate_json(self.manifest)

    def issuers(self) -> dict[str, IssuerKey]:
        """Return the issuer keys of the cycle."""
        sheets = Manifest.model_validate(self.signed().document).plan.sheets
        return IssuerFolder(self.folder / "issuer-keys").load(self.cycle, sheets)

    def opened(self) -> OpenCycle:
        """Return the cycle as the check of an envelope needs it."""
        signed = self.signed()
        manifest = Manifest.model_validate(signed.document)
        return open_cycle(signed, manifest, self.issuers(), self.secrets)


class Alone(Peers):
    """Aggregate and report, as far as opening a cycle asks for them."""

    def __init__(self) -> None:
        """Connect to nobody."""

    def propose(self, proposal: Proposal) -> ProposalReply:
        """Return opening keys that nobody will open anything with."""
        return ProposalReply(opening_keys={sheet: _point() for sheet in proposal.plan.sheets})

    def countersign(self, cycle_id: str, upload: ManifestUpload) -> SignedDocument:
        """Return the manifest as if aggregate had signed it."""
        both = {**upload.signed.signatures, "aggregate": "unsigned"}
        return upload.signed.model_copy(update={"signatures": both})

    def show_manifest(self, cycle_id: str, signed: SignedDocument) -> None:
        """Show it to nobody."""


def make_world(folder: Path) -> World:
    """Open a cycle of a composite company; ``folder`` is survey's, with its identity."""
    database = Database(f"sqlite:///{folder / 'made.db'}")
    upgrade(database, MIGRATIONS)
    store, identity = Store(database), load_identity(folder / "identity.key")
    flow = OpeningFlow(store, IssuerFolder(folder / "issuer-keys"), Alone(), identity, url="http://survey")
    made = make_workforce(reps=80, world="seeds", seed=11, response=1.0)
    cycle, draft = flow.draft(File("roster", made.roster_csv), File("results", made.results_csv), _options())
    flow.open(cycle)
    row = store.cycle(cycle)
    assert row is not None
    assert row.manifest is not None
    world = World(folder, cycle, draft.model_dump_json(), row.manifest, store.secrets(cycle))
    database.close()
    return world


def write_sheets(world: World, count: int, path: Path) -> int:
    """Write so many sealed sheets of all kinds in random order; return the length of one [bytes]."""
    sealings = [_sealing(world, sheet) for sheet in world.opened().manifest.plan.sheets]
    sizes = [min(SLICE, count - first) for first in range(0, count, SLICE)]
    context = get_context("spawn")
    with ProcessPoolExecutor(MAKERS, mp_context=context, initializer=end_with_parent) as pool:
        slices = pool.map(_make_slice, [sealings] * len(sizes), sizes)
        sheets = [sheet for each in slices for sheet in each]
    secrets.SystemRandom().shuffle(sheets)
    path.write_bytes(b"".join(sheets))
    return len(sheets[0])


def _options() -> Options:
    now = datetime.now(UTC)
    return Options(
        company="Acme",
        title="Speed",
        opens=written(now - timedelta(minutes=1)),
        closes=written(now + timedelta(days=1)),
        latest_close=written(now + timedelta(days=2)),
        rehearsal=True,
    )


def _sealing(world: World, sheet: str) -> Sealing:
    opened = world.opened()
    spec = opened.manifest.sheet(sheet)
    of_values = {value: world.secrets[sheet, value] for value in spec.values}
    return Sealing(
        rules=rules_of(opened.manifest, sheet, commit_sheet(sheet, spec.values, of_values)),
        issuer=opened.issuers[sheet].to_der(),
        opening_key=b"",
        public_key=unb64(spec.opening_key),
        secrets=tuple(of_values.values()),
    )


def _make_slice(sealings: list[Sealing], count: int) -> list[bytes]:
    keys = [cast(rsa.RSAPrivateKey, load_der_private_key(each.issuer, None)) for each in sealings]
    kinds = list(zip(sealings, keys, strict=True))
    return [seal_one(*kinds[number % len(kinds)], BLANK) for number in range(count)]


def _point() -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return b64(key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
