"""What a part of the audit found: sentences, and whether the promise held."""

from dataclasses import dataclass, field


@dataclass
class Findings:
    """The lines of one part, and whether everything in it was as it must be."""

    title: str
    lines: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Note what was found."""
        self.lines.append(line)

    def require(self, holds: bool, line: str) -> None:
        """Note what was found, and whether it is as it must be."""
        self.lines.append(f"{'ok  ' if holds else 'FAIL'}  {line}")
        if not holds:
            self.failures.append(line)

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return not self.failures
