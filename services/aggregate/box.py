"""Pulling a cycle's frame and box from survey: streamed in bounded chunks, never written down."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from threading import Event

import httpx
from pydantic import ValidationError

from services.aggregate.core.chunks import cut
from services.kit.http import call, problem_of
from services.protocol.problems import Problem
from services.protocol.signed import SignedDocument

CHUNK_ENVELOPES = 512


class SurveyBox:
    """Survey's side of a close, as aggregate asks for it."""

    def __init__(self, client: httpx.Client, *, chunk_envelopes: int = CHUNK_ENVELOPES) -> None:
        self._client, self._chunk_envelopes = client, chunk_envelopes

    def frame(self, cycle: str) -> SignedDocument:
        """Return the signed frame of a closed cycle."""
        answer = call(self._client, "GET", f"/internal/cycles/{cycle}/frame")
        try:
            return SignedDocument.model_validate_json(answer.content)
        except ValidationError:
            raise Problem("conflict", "Survey's frame does not have the expected form.") from None

    def chunks(
        self, cycle: str, sheet: str, *, envelope_bytes: int, envelopes: int
    ) -> Generator[bytes, None, None]:
        """Yield the box of one sheet, about 512 whole envelopes at a time.

        Neighbours under one token stay together. A box that does not hold exactly ``envelopes``
        envelopes of ``envelope_bytes`` is a conflict.
        """
        path = f"/internal/cycles/{cycle}/box"
        try:
            with self._client.stream("GET", path, params={"sheet": sheet}) as answer:
                if not answer.is_success:
                    answer.read()
                    raise problem_of(answer)
                blocks = exactly(answer.iter_bytes(), envelope_bytes * envelopes)
                yield from cut(blocks, length=envelope_bytes, sheets=self._chunk_envelopes)
        except httpx.HTTPError:
            raise Problem("not-ready", "Survey broke off while the box was read.") from None


class BoxUntilStop:
    """A box that is read no further once the service is asked to stop; the next start begins it again."""

    def __init__(self, box: SurveyBox, stopping: Event) -> None:
        self._box, self._stopping = box, stopping

    def frame(self, cycle: str) -> SignedDocument:
        """Return the signed frame of a closed cycle."""
        self._go_on()
        return self._box.frame(cycle)

    def chunks(self, cycle: str, sheet: str, *, envelope_bytes: int, envelopes: int) -> Iterator[bytes]:
        """Yield the box of one sheet, as long as nobody asks the service to stop."""
        self._go_on()
        with closing(
            self._box.chunks(cycle, sheet, envelope_bytes=envelope_bytes, envelopes=envelopes)
        ) as chunks:
            for chunk in chunks:
                self._go_on()
                yield chunk
        self._go_on()

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise Problem("not-ready", "The service is stopping. The release starts again from the box.")


def exactly(blocks: Iterable[bytes], total: int) -> Iterator[bytes]:
    """Pass bytes on until there are too many, and refuse any other sum than ``total``."""
    left = total
    for block in blocks:
        left -= len(block)
        if left < 0:
            raise Problem("conflict", "The box holds more than survey's frame says.")
        yield block
    if left:
        raise Problem("conflict", "The box holds less than survey's frame says.")
