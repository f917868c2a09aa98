"""Speed, held against the design's figures: ``python -m bench.speed [collecting|signing|closing|all]``.

Ends with 1 if a figure is missed.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

PARTS = ("collecting", "signing", "closing")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for; 0 if every figure is met."""
    parser = argparse.ArgumentParser(prog="python -m bench.speed", description=__doc__)
    parser.add_argument("part", nargs="?", choices=(*PARTS, "all"), default="all")
    parser.add_argument("--json", type=Path, help="write all figures into this file")
    chosen = parser.parse_args(arguments)
    # A run that is stopped leaves through the same doors as one that ends, and takes its folders with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    figures: dict[str, Any] = {}
    met = [RUN[part](figures) for part in (PARTS if chosen.part == "all" else (chosen.part,))]
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0 if all(met) else 1


def _collecting(figures: dict[str, Any]) -> bool:
    from bench.speed import collecting, collecting_table

    found = collecting.measure()
    figures["collecting"] = asdict(found)
    return _told("Collecting", collecting_table.lines(found), collecting_table.judge(found))


def _signing(figures: dict[str, Any]) -> bool:
    from bench.speed import signing

    found = signing.measure()
    figures["signing"] = asdict(found)
    return _told("Signing", signing.lines(found), signing.judge(found))


def _closing(figures: dict[str, Any]) -> bool:
    from bench.speed import closing

    print("\nClosing", flush=True)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        met = closing.main(["--json", file.name]) == 0
        figures |= json.loads(Path(file.name).read_text())
    return met


def _told(what: str, lines: Sequence[str], verdicts: Sequence[tuple[bool, str]]) -> bool:
    print("\n".join(["", what, *lines, "", *(words for _, words in verdicts)]), flush=True)
    return all(met for met, _ in verdicts)


# A part is imported when it is asked for: they need different things.
RUN = {"collecting": _collecting, "signing": _signing, "closing": _closing}

if __name__ == "__main__":
    sys.exit(main())
