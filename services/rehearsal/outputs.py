"""The files of a run: written whole or not at all."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from services.protocol.encoding import canonical
from services.protocol.problems import Problem
from services.rehearsal.run import Outcome


def files_of(outcome: Outcome) -> dict[str, bytes]:
    """Return the files of an outcome by name."""
    return {
        "summary.json": (json.dumps(outcome.summary, indent=2, ensure_ascii=False) + "\n").encode("utf-8"),
        "release.json": canonical(outcome.signed_release.model_dump(mode="json")),
        "report.html": outcome.html.encode("utf-8"),
    }


def check_writable(folder: Path) -> None:
    """Refuse a place that can't take the files, before any work is done."""
    if folder.exists() and not folder.is_dir():
        raise Problem("input", f"{folder} is a file. Name a folder with --out.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise Problem("input", f"{folder} can't be made. Name another folder with --out.") from None


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files beside ``folder`` first, then move them in, so that none is ever half there."""
    with tempfile.TemporaryDirectory(prefix=".fairpatch-", dir=folder.parent) as made:
        for name, data in files.items():
            (Path(made) / name).write_bytes(data)
        folder.mkdir(exist_ok=True)
        for name in files:
            (Path(made) / name).replace(folder / name)
