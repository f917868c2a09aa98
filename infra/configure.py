"""Prepares the folders of an installation: identities, then public addresses and databases.

May be run again: what ``fairpatch init`` made stays, settings are written anew. Usage, for example:

    configure.py --dir /var/lib/fairpatch --survey https://survey.example.com \
        --aggregate https://count.example.com --report https://report.example.com \
        --database 'postgresql+psycopg://fairpatch_{service}@/{service}?host=/run/postgresql&passfile=...'
"""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from services.folder import KINDS, SERVICES, init_folder
from services.kit.settings import FILE, holds_password, load_settings, save_settings
from services.protocol.problems import Problem
from services.protocol.signed import Service


def configure(folder: Path, urls: dict[Service, str], database: str) -> None:
    """Write the settings of all three services; ``database`` has ``{service}`` where its name goes."""
    if holds_password(database.replace("{service}", "survey")):
        raise Problem("input", "Put the password into a file and name it in the URL with passfile=.")
    if not all((folder / service / FILE).exists() for service in SERVICES):
        init_folder(folder)
    for service in SERVICES:
        kept = load_settings(KINDS[service], folder / service).model_dump()
        changes = {
            "url": urls[service].rstrip("/"),
            "database": database.replace("{service}", service),
            "deployment": "production",
        }
        save_settings(KINDS[service](**{**kept, **changes}))


def main() -> int:
    """Read the command line; end with 0, or with 2 and a sentence."""
    parser = argparse.ArgumentParser(description="Prepare the folders of an installation.")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--database", default="", help="URL with {service}; without it, SQLite files")
    for service in SERVICES:
        parser.add_argument(f"--{service}", required=True, help=f"public address of {service}")
    given = parser.parse_args()
    try:
        configure(given.dir, {service: vars(given)[service] for service in SERVICES}, given.database)
    except (Problem, ValidationError) as error:
        sentence = str(error) if isinstance(error, Problem) else "An address is not one."
        sys.stderr.write(sentence + "\n")
        return 2
    sys.stdout.write(f"Ready: {given.dir}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
