"""How the close of a cycle grows with its sheets: time against key exchanges, memory against a tenth.

Run ``python -m bench.speed.closing``. Real sheets of one kind are made first, in a temporary folder that
goes with the run; each size is then measured in a process of its own. Ends with 1 if a figure is missed.
"""

import argparse
import json
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.speed import probes
from bench.speed.box import make_sealing, write_box
from bench.speed.close_once import Figures, Round, Took
from bench.speed.closing_table import judge, table

SIZES = (10_000, 100_000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make, measure, print; 0 if every figure is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheets", type=sizes, default=SIZES, help="sizes, with commas between")
    parser.add_argument("--json", type=Path, help="write all figures into this file")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made (620 bytes a sheet)")
    chosen = parser.parse_args(arguments)
    # A run that is stopped leaves through the same doors as one that ends, and takes its folder with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    measured = [measured_at(size, chosen.folder) for size in chosen.sheets]
    verdicts = judge(measured)
    print("\n".join(["", *table(measured), "", *(words for _, words in verdicts)]))
    if chosen.json:
        figures = [asdict(each) for each in measured]
        chosen.json.write_text(json.dumps({"cores": probes.cores(), "closing": figures}, indent=1) + "\n")
    return 0 if all(met for met, _ in verdicts) else 1


def sizes(text: str) -> tuple[int, ...]:
    """Return the sizes in a command line, smallest first."""
    found = tuple(sorted(int(each) for each in text.split(",")))
    if not found or found[0] < 1:
        raise argparse.ArgumentTypeError("sizes are whole numbers from 1")
    return found


def measured_at(sheets: int, within: Path | None) -> Figures:
    """Make a box of this size and have it closed."""
    with tempfile.TemporaryDirectory(prefix="fairpatch-closing-", dir=within) as name:
        folder, sealing = Path(name), make_sealing()
        (folder / "sealing").write_bytes(pickle.dumps(sealing))
        begun = time.monotonic()
        write_box(folder / "box", sealing, sheets, Said(sheets))
        print(f"{sheets:,} sheets made in {time.monotonic() - begun:.0f} s; measuring", flush=True)
        command = [sys.executable, "-m", "bench.speed.close_once", name, str(sheets)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return read_figures(json.loads(done.stdout))


def read_figures(fields: dict[str, Any]) -> Figures:
    """Return the figures that the measuring process wrote."""
    rounds = tuple(read_round(each) for each in fields.pop("rounds"))
    return Figures(rounds=rounds, worker_bytes=tuple(fields.pop("worker_bytes")), **fields)


def read_round(fields: dict[str, Any]) -> Round:
    """Return one round."""
    taken = {name: Took(**each) for name, each in fields.items() if name != "exchange"}
    return Round(exchange=fields["exchange"], **taken)


class Said:
    """Tells of every tenth of the sheets that are made."""

    def __init__(self, total: int) -> None:
        self._total, self._made, self._told = total, 0, 0

    def __call__(self, more: int) -> None:
        """Count more sheets."""
        self._made += more
        if 10 * self._made // self._total > self._told:
            self._told = 10 * self._made // self._total
            print(f"  sealed {self._made:,} of {self._total:,}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
