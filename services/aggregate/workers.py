"""Worker processes that open and tally sheets.

Opening holds the interpreter's lock, so threads would not help. A worker imports this module and the
tally, and nothing of the service around them: no database, no web framework, no source of noise.
"""

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import closing, contextmanager, suppress
from threading import Thread
from types import ModuleType

from services.aggregate.core.rules import SheetRules
from services.aggregate.core.tally import RepeatedNonce, Tally, count_chunk, merge

IN_FLIGHT = 4


def count_sheet(
    read: Callable[[], Iterable[bytes]],
    rules: SheetRules,
    key: bytes,
    pool: Executor,
    progress: Callable[[int], None],
    *,
    in_flight: int = IN_FLIGHT,
) -> Tally:
    """Return the tally of one sheet's box, which ``read`` streams in chunks of whole envelopes.

    At most ``in_flight`` chunks wait in memory; ``progress`` hears the length [bytes] of each one counted.
    """
    counting = count_chunks(read(), rules, key, pool, progress, in_flight)
    with suppress(RepeatedNonce), closing(counting) as tallies:
        return merge(tallies)
    # Only a box that isn't in nonce order comes here: it is counted in one piece.
    return pool.submit(count_chunk, b"".join(read()), rules, key).result()


def count_chunks(
    chunks: Iterable[bytes],
    rules: SheetRules,
    key: bytes,
    pool: Executor,
    progress: Callable[[int], None],
    in_flight: int,
) -> Generator[Tally, None, None]:
    """Yield the tally of each chunk, in box order; an empty box is one empty chunk."""
    waiting: deque[tuple[int, Future[Tally]]] = deque()

    def collect() -> Tally:
        size, future = waiting.popleft()
        counted = future.result()
        progress(size)
        return counted

    try:
        for chunk in or_empty(chunks):
            waiting.append((len(chunk), pool.submit(count_chunk, chunk, rules, key)))
            if len(waiting) >= in_flight:
                yield collect()
        while waiting:
            yield collect()
    finally:
        for _, future in waiting:
            future.cancel()


def or_empty(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks, or an empty one if there is none."""
    nothing = True
    for chunk in chunks:
        nothing = False
        yield chunk
    if nothing:
        yield b""


@contextmanager
def worker_processes(count: int) -> Iterator[Executor]:
    """Yield ``count`` fresh processes that share no memory with this one, and end them afterwards.

    They live for one release only, and not longer than this process, even if it is killed: no process
    that ever held an opening key outlasts that key.
    """
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=spawn, initializer=end_with_parent)
    try:
        with light_children():
            for started in [pool.submit(ready) for _ in range(count)]:
                started.result()
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def end_with_parent() -> None:
    """Have this worker end as soon as the process that started it is gone.

    A killed service can't end its workers, and they would wait for work, with a key in memory, for good.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, name="end with parent", daemon=True).start()


def ready() -> bool:
    """Answer from a worker, so that its process is known to run."""
    return True


@contextmanager
def light_children() -> Iterator[None]:
    """Keep children from importing the program that started this process.

    A spawned child imports its parent's main module again, which would load the whole service into it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
