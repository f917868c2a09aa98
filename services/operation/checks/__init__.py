"""What ``fairpatch verify`` looks at: each check says what holds, or what is wrong and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what holds if all is well, and what is wrong."""

    holds: str
    wrong: tuple[str, ...] = ()


def check(holds: str, wrong: list[str]) -> Check:
    """Return the outcome of a check; of many faults of one kind a few are told."""
    told = tuple(wrong[:MOST_TOLD])
    rest = len(wrong) - len(told)
    return Check(holds, (*told, *([f"And {rest} more of this kind."] if rest else [])))


MOST_TOLD = 5
