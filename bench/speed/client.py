"""Load: connections that each send the next sheet as soon as the last one is answered.

A process of its own with one thread, one epoll loop and bytes made beforehand: it takes little of the
cores it shares with what it measures.
"""

import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

END, LENGTH, ACCEPTED = b"\r\n\r\n", b"content-length: ", b"HTTP/1.1 201"
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """Which sheets of a file go where, over how many connections."""

    port: int
    cycle: str
    path: str
    length: int
    first: int
    count: int
    connections: int


@dataclass(frozen=True)
class Seen:
    """What the phones saw: seconds for all, seconds of each in order, and how many were not accepted."""

    seconds: float
    latencies: tuple[float, ...]
    refused: int

    def quantile(self, share: float) -> float:
        """Return the time [s] within which this share of the sheets was answered."""
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


def run(load: Load) -> Seen:
    """Send a load from a process of its own."""
    command = [sys.executable, "-m", "bench.speed.client"]
    said = json.dumps(asdict(load)).encode()
    done = subprocess.run(command, input=said, stdout=subprocess.PIPE, check=True)
    fields = json.loads(done.stdout)
    return Seen(fields["seconds"], tuple(sorted(fields["latencies"])), fields["refused"])


@dataclass
class Connection:
    """A connection with at most one request under way."""

    socket: socket.socket
    sent_at: float = 0.0
    received: bytes = b""

    def send(self, request: bytes) -> None:
        """Send a request; it is smaller than any socket's buffer."""
        self.received, self.sent_at = b"", time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """Take what came; return the head of the answer once the answer is whole."""
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("a server hung up")
        self.received += part
        head, found, body = self.received.partition(END)
        if not found:
            return None
        at = head.index(LENGTH) + len(LENGTH)
        return head if len(body) >= int(head[at:].split(b"\r\n", 1)[0]) else None


@dataclass
class Phones:
    """The connections of a load."""

    latencies: list[float] = field(default_factory=list)
    refused: int = 0

    def run(self, port: int, connections: int, requests: Iterator[bytes], warm_up: bytes) -> float:
        """Return the seconds from the first byte of the first request to the last answer."""
        with selectors.DefaultSelector() as selector:
            for _ in range(connections):
                made = Connection(socket.create_connection(("127.0.0.1", port)))
                made.send(warm_up)
                while made.receive() is None:
                    pass
                selector.register(made.socket, selectors.EVENT_READ, made)
            begun = time.perf_counter()
            for key in list(selector.get_map().values()):
                self._next(selector, key.data, requests)
            while selector.get_map():
                self._turn(selector, requests)
            return time.perf_counter() - begun

    def _turn(self, selector: selectors.BaseSelector, requests: Iterator[bytes]) -> None:
        events = selector.select(PATIENCE_SECONDS)
        if not events:
            raise TimeoutError("a server does not answer")
        for key, _ in events:
            head = key.data.receive()
            if head is not None:
                self.latencies.append(time.perf_counter() - key.data.sent_at)
                self.refused += not head.startswith(ACCEPTED)
                self._next(selector, key.data, requests)

    def _next(
        self, selector: selectors.BaseSelector, connection: Connection, requests: Iterator[bytes]
    ) -> None:
        request = next(requests, None)
        if request is None:
            selector.unregister(connection.socket)
            connection.socket.close()
        else:
            connection.send(request)


def main() -> None:
    """Read a load from standard input, send it, and write what was seen to standard output."""
    load = Load(**json.load(sys.stdin))
    with Path(load.path).open("rb") as file:
        file.seek(load.first * load.length)
        sheets = [file.read(load.length) for _ in range(load.count)]
    host = f"host: 127.0.0.1:{load.port}\r\n"
    head = (
        f"POST /api/cycles/{load.cycle}/envelopes HTTP/1.1\r\n{host}"
        f"content-type: application/octet-stream\r\ncontent-length: {load.length}\r\n\r\n"
    ).encode()
    requests, warm_up = [head + sheet for sheet in sheets], f"GET /healthz HTTP/1.1\r\n{host}\r\n".encode()
    phones = Phones()
    seconds = phones.run(load.port, load.connections, iter(requests), warm_up)
    json.dump({"seconds": seconds, "latencies": phones.latencies, "refused": phones.refused}, sys.stdout)


if __name__ == "__main__":
    main()
