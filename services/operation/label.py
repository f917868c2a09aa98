"""The label of a backup: what is in it, signed by the service it was made of."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, StrictInt, ValidationError

from services.kit.keys import Identity, write_secret
from services.protocol.encoding import InvalidEncoding, canonical
from services.protocol.manifest import Part, Text
from services.protocol.problems import Problem
from services.protocol.signed import InvalidSignedDocument, Service, SignedDocument, check_document

LABEL, ROWS = "backup.json", "rows.db"
"""Names of the label and of the file with all rows."""
CHUNK_BYTES = 1 << 20


class Chain(Part):
    """The end of one company's chain of releases; ``head`` is absent while there is none."""

    company: Text
    head: str | None
    length: StrictInt = Field(ge=0)


class Label(Part):
    """What a backup holds."""

    format: Literal["fairpatch backup v1"] = "fairpatch backup v1"
    service: Service
    version: str
    created: str
    rows: dict[str, StrictInt]
    files: dict[str, str]
    chains: tuple[Chain, ...]


def digest_of(path: Path) -> str:
    """Return a file's SHA-256 in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def write_label(folder: Path, label: Label, identity: Identity) -> None:
    """Sign a label and put it beside the files it names."""
    document = label.model_dump(mode="json")
    signature = identity.sign("backup", canonical(document))
    signed = SignedDocument(document=document, signatures={label.service: signature})
    write_secret(folder / LABEL, signed.model_dump_json(indent=2).encode("utf-8") + b"\n")


def read_label(folder: Path, service: Service) -> tuple[Label, SignedDocument]:
    """Return the label of a backup of ``service`` and the document it was read from; no file is checked."""
    path = folder / LABEL
    try:
        signed = SignedDocument.model_validate_json(path.read_text("utf-8"))
        label = Label.model_validate(signed.document)
    except OSError:
        raise Problem("input", f"{path} can't be read. Is this the folder of a backup?") from None
    except (ValidationError, ValueError):
        raise Problem("input", f"{path} is not the label of a backup that this program knows.") from None
    if label.service != service:
        raise Problem("input", f"{path} is of {label.service}, not of {service}.")
    return label, signed


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Refuse a backup in which a file is missing or isn't the one its label names."""
    for name, digest in files.items():
        if Path(name).name != name:
            raise Problem("input", "The label of this backup names a file outside its folder.")
        try:
            whole = digest_of(folder / name) == digest
        except OSError:
            raise Problem("conflict", f"{name} is missing in {folder}, or can't be read.") from None
        if not whole:
            raise Problem("conflict", f"{name} in {folder} was changed after the backup. Use another backup.")


def check_signature(signed: SignedDocument, service: Service, public_key: bytes) -> None:
    """Refuse a label that the service with this public key did not sign."""
    try:
        check_document(signed, "backup", {service: public_key})
    except (InvalidSignedDocument, InvalidEncoding):
        raise Problem(
            "conflict", f"The label of this backup is not signed by the identity of {service}."
        ) from None
