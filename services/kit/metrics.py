"""What an operator may watch: health, told so coarsely that nobody can count people in it (decision 0017).

There is no count of requests, no time of one, and no figure of the process: each of them steps with every
phone. What is shown is worked out when somebody asks, from what the service knows about its own state.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from services.kit.logs import FAULTS

VERSION = "0.1.0"
MEDIA_TYPE = CONTENT_TYPE_LATEST
Kind = Literal["gauge", "counter"]
Labels = tuple[tuple[str, str], ...]
Read = Callable[[], float | Mapping[Labels, float]]
"""Returns a value, or one value per set of labels."""


@dataclass(frozen=True)
class Figure:
    """One thing to watch: its name, what it says, and how it is read."""

    name: str
    words: str
    read: Read
    kind: Kind = "gauge"


@dataclass
class Metrics:
    """The figures of one service."""

    schema: str
    figures: list[Figure] = field(default_factory=list)

    def add(self, name: str, words: str, read: Read, kind: Kind = "gauge") -> None:
        """Show one more figure. Decision 0017 says what it has to hide."""
        self.figures.append(Figure(f"fairpatch_{name}", words, read, kind))

    def text(self, reasons: list[str]) -> bytes:
        """Return all figures as Prometheus reads them; ``reasons`` say why the service isn't ready."""
        registry = CollectorRegistry()
        registry.register(_Collected((*self._common(reasons), *self.figures)))
        return generate_latest(registry)

    def _common(self, reasons: list[str]) -> list[Figure]:
        built: dict[Labels, float] = {(("version", VERSION), ("schema", self.schema)): 1.0}
        return [
            Figure("fairpatch_ready", "1 if the service can work, else 0.", lambda: float(not reasons)),
            Figure("fairpatch_unready_reasons", "Reasons in /readyz.", lambda: float(len(reasons))),
            Figure("fairpatch_build_info", "Version of the program and of its database.", lambda: built),
            Figure(
                "fairpatch_faults_total",
                "Minutes in which this process logged a fault.",
                lambda: float(FAULTS.count),
                "counter",
            ),
        ]


@dataclass(frozen=True)
class _Collected:
    """The figures in the library's words; no time of creation goes with a counter."""

    figures: tuple[Figure, ...]

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        for figure in self.figures:
            family = Metric(figure.name.removesuffix("_total"), figure.words, figure.kind)
            found = figure.read()
            samples = found if isinstance(found, Mapping) else {(): found}
            for labels, value in samples.items():
                family.add_sample(figure.name, dict(labels), value)
            yield family
