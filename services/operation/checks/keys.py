"""Key files: private to their owner, there for cycles that need them, gone for those that are over."""

import json
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection, Table, select

from services.aggregate.settings import AggregateSettings
from services.kit.production import Found, look
from services.kit.settings import FILE, ServiceSettings
from services.operation.checks import Check, check
from services.protocol.manifest import Manifest
from services.protocol.signed import Service, SignedDocument
from services.survey.settings import SurveySettings

SCALAR_BYTES = 32
VOID = "It can only be made void (fairpatch void)."


def check_files(settings: ServiceSettings) -> Check:
    """Check that secret files and settings are there, and for their owner only."""
    wrong, found = [], look(settings)
    for secret in settings.secret_files:
        there: Found | None = found.get(secret.name)
        if there is None or not secret.least <= there.size <= secret.most:
            wrong.append(f"The {secret.name} ({secret.path.name}) is missing or damaged. Restore it.")
        elif there.shared:
            wrong.append(f"The {secret.name} ({secret.path.name}) is not for its owner only. chmod 600 it.")
    if _is_shared(settings.folder / FILE):
        wrong.append(f"{FILE} is not for its owner only. chmod 600 it.")
    return check("secret files are there, and for their owner only", wrong)


def check_keys(connection: Connection, tables: Mapping[str, Table], settings: ServiceSettings) -> list[Check]:
    """Check the key files of cycles: issuer keys at survey, opening keys at aggregate."""
    if isinstance(settings, SurveySettings):
        wrong = list(_issuer_keys(connection, tables["cycle"], settings.issuer_keys))
        return [check("open cycles have their issuer keys, and nobody else reads them", wrong)]
    if isinstance(settings, AggregateSettings):
        wrong = list(_opening_keys(connection, tables["cycle"], settings.keys_folder))
        return [check("open cycles have their opening keys, all others have none", wrong)]
    return []


def check_peers(settings: ServiceSettings, keys: Mapping[Service, bytes]) -> Check:
    """Check that a service knows the others on this host by the keys they sign with."""
    strangers = [name for name, peer in settings.peers.items() if name in keys and peer.public != keys[name]]
    return check(
        "it knows its peers on this host by their keys",
        [f"Its settings name another public key than that of {name}." for name in sorted(strangers)],
    )


def _issuer_keys(connection: Connection, cycles: Table, folder: Path) -> Iterator[str]:
    query = select(cycles.c.id, cycles.c.manifest).where(
        cycles.c.state == "open", cycles.c.restored.is_(False)
    )
    for row in connection.execute(query.order_by(cycles.c.id)):
        manifest = Manifest.model_validate(SignedDocument.model_validate_json(row.manifest).document)
        paths = [folder / row.id / f"{sheet}.key" for sheet in manifest.plan.sheets]
        if not all(path.is_file() and path.stat().st_size for path in paths):
            yield f"Issuer keys of cycle {row.id} are lost: no passes can be given out. Uploads still work."
        elif any(_is_shared(path) for path in paths):
            yield f"Issuer keys of cycle {row.id} are not for their owner only. chmod 600 them."


def _opening_keys(connection: Connection, cycles: Table, folder: Path) -> Iterator[str]:
    kept = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    rows = connection.execute(
        select(cycles.c.id, cycles.c.state, cycles.c.opening_keys).order_by(cycles.c.id)
    )
    for cycle, state, points in rows:
        paths = [folder / cycle / f"{sheet}.key" for sheet in json.loads(points)]
        if state != "open":
            if cycle in kept:
                yield f"Cycle {cycle} is {state} and still has opening keys. Start aggregate: they go."
        elif not all(path.is_file() and path.stat().st_size == SCALAR_BYTES for path in paths):
            yield f"Opening keys of cycle {cycle} are lost. {VOID}"
        elif any(_is_shared(path) for path in paths):
            yield f"Opening keys of cycle {cycle} are not for their owner only. chmod 600 them."
        kept.discard(cycle)
    for cycle in sorted(kept):
        yield (
            f"There are opening keys of cycle {cycle}, which this database doesn't know: it is older, or a "
            "proposal broke off. If survey knows the cycle, make it void there; that destroys them."
        )


def _is_shared(path: Path) -> bool:
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0
    return bool(mode & (stat.S_IRWXG | stat.S_IRWXO))
