"""``make audit``: attacks the release from outside and says in words and figures what came of it.

Ends with 0 if every promise held and every planted fault was found, with 1 if not.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

from tests.audit import epsilon, game, gatecount, isolation, mutants, puppets
from tests.audit.releasing import processes
from tests.audit.telling import Findings

MOST_PROCESSES = 8
Part = Callable[[Executor], Findings]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that were asked for, or all of them, and return the exit code."""
    asked = parse(arguments)
    parts = chosen_parts(asked)
    start, failed = time.monotonic(), list[str]()
    print(f"Fairpatch audit, {asked.processes} processes: {', '.join(parts)}\n")
    with processes(asked.processes) as pool:
        for name, part in parts.items():
            began = time.monotonic()
            findings = part(pool)
            print(f"{findings.title}  [{time.monotonic() - began:.0f} s]")
            print("".join(f"  {line}\n" for line in findings.lines), flush=True)
            if not findings.passed:
                failed.append(name)
    took = f"{time.monotonic() - start:.0f} s"
    print(f"Failed after {took}: {', '.join(failed)}." if failed else f"Everything held, in {took}.")
    return 1 if failed else 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--plan", default="balanced", choices=["stronger", "balanced", "finer"])
    parser.add_argument("--draws", type=int, default=epsilon.Effort.draws, help="releases per neighbour")
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, MOST_PROCESSES))
    return parser.parse_args(arguments)


def chosen_parts(asked: argparse.Namespace) -> dict[str, Part]:
    """Return the parts to run, in the order of the list."""
    return {name: make(asked) for name, make in PARTS.items() if not asked.parts or name in asked.parts}


PARTS: dict[str, Callable[[argparse.Namespace], Part]] = {
    "gate": lambda asked: gatecount.audit,
    "puppets": lambda asked: puppets.audit,
    "subtraction": lambda asked: isolation.audit,
    "game": lambda asked: game.audit,
    "epsilon": lambda asked: partial(
        epsilon.audit, effort=epsilon.Effort(draws=asked.draws), plan=asked.plan
    ),
    "mutants": lambda asked: lambda pool: mutants.audit(asked.processes),
}


if __name__ == "__main__":
    sys.exit(main())
