"""Doubles for the tests of aggregate: its peers, a clock, an executor, a mechanism without noise."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt

from services.kit.signing import HEADER, CallVerifier
from services.protocol.encoding import canonical, sha256
from services.protocol.manifest import Manifest
from services.protocol.problems import Problem
from services.protocol.release import FIRST
from services.protocol.signed import SignedDocument
from tests.flow.aggregate.factories import IDENTITIES, NOW, make_frame
from tests.flow.aggregate.phones import Hand, answer, nonce_of

Counts = npt.NDArray[np.int64]
Cells = Mapping[str, Sequence[tuple[int, int] | None]]


@dataclass
class Ticking:
    """A clock that moves when it is told to."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@dataclass
class Survey:
    """Survey as aggregate calls it: a manifest, boxes and a frame; it checks who calls."""

    clock: Callable[[], datetime]
    manifests: dict[str, Manifest] = field(default_factory=dict)
    boxes: dict[str, dict[str, list[bytes]]] = field(default_factory=dict)
    frames: dict[str, SignedDocument] = field(default_factory=dict)
    down: bool = False

    def __post_init__(self) -> None:
        keys = {"aggregate": IDENTITIES["aggregate"].public}
        self._verifier = CallVerifier("survey", keys, self.clock)  # type: ignore[arg-type]

    def fill(self, manifest: Manifest, cells: Cells) -> None:
        """Have phones seal one sheet per cell, and put them into the box."""
        self.manifests[manifest.cycle] = manifest
        self.boxes[manifest.cycle] = {
            spec.name: [Hand(manifest, spec).seal(answer(spec, cell)) for cell in cells.get(spec.name, ())]
            for spec in manifest.sheets
        }

    def close(self, cycle: str, **changes: Any) -> None:
        """Sort the boxes by nonce and sign the frame."""
        for box in self.boxes[cycle].values():
            box.sort(key=nonce_of)
        self.frames[cycle] = make_frame(self.manifests[cycle], self.boxes[cycle], **changes)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        if self.down:
            raise httpx.ConnectError("away")
        target = request.url.raw_path.decode()
        self._verifier.check(
            request.headers.get(HEADER), method=request.method, target=target, body=request.content
        )
        _, _, _, cycle, what = request.url.path.split("/")
        if cycle not in self.frames:
            return problem(Problem("cycle-state", "The cycle is open."))
        if what == "frame":
            return httpx.Response(200, json=self.frames[cycle].model_dump(mode="json"))
        return httpx.Response(200, content=b"".join(self.boxes[cycle][request.url.params["sheet"]]))


@dataclass
class Report:
    """Report as aggregate calls it: a chain per company; ``known`` are the cycles whose manifest it has."""

    clock: Callable[[], datetime]
    chains: dict[str, list[str]] = field(default_factory=dict)
    documents: list[dict[str, Any]] = field(default_factory=list)
    known: set[str] | None = None
    down: bool = False
    calls: int = 0

    def __post_init__(self) -> None:
        keys = {"aggregate": IDENTITIES["aggregate"].public}
        self._verifier = CallVerifier("report", keys, self.clock)  # type: ignore[arg-type]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        self.calls += 1
        if self.down:
            raise httpx.ConnectError("away")
        target = request.url.raw_path.decode()
        self._verifier.check(
            request.headers.get(HEADER), method=request.method, target=target, body=request.content
        )
        if request.method == "GET":
            chain = self.chains.get(request.url.params["company"], [])
            return httpx.Response(200, json={"head": chain[-1] if chain else None, "length": len(chain)})
        document = json.loads(request.content)["document"]
        if request.method == "PUT" and self.known is not None:
            self.known.add(document["cycle"])
            return httpx.Response(200, json={"hash": sha256(canonical(document)).hex()})
        return self._take(document)

    def _take(self, document: dict[str, Any]) -> httpx.Response:
        if self.known is not None and document["cycle"] not in self.known:
            return problem(Problem("cycle-state"))
        chain = self.chains.setdefault(document["company"], [])
        hashed = sha256(canonical(document)).hex()
        if hashed in chain:
            return httpx.Response(200, json={"hash": hashed})
        if document["previous"] != (chain[-1] if chain else FIRST):
            return problem(Problem("conflict"))
        chain.append(hashed)
        self.documents.append(document)
        return httpx.Response(201, json={"hash": hashed})


def problem(refusal: Problem) -> httpx.Response:
    """Return a problem as a peer answers it."""
    return httpx.Response(refusal.status, json=refusal.document())


class Inline(Executor):
    """An executor that works at once, in the caller's thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run and return a finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def inline_pool(_count: int) -> Iterator[Executor]:
    """Yield an executor without processes."""
    yield Inline()


def shift(counts: Counts, *, epsilon: float) -> Counts:
    """A mechanism for tests: it adds 1000, so that exact and released numbers can be told apart."""
    return counts + 1000


def heads() -> float:
    """A coin for tests: every group over k is shown."""
    return 0.0
