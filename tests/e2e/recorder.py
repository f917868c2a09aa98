"""Stands in for a service behind the proxy, and writes down what it is told."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Heard:
    """What a service behind the proxy gets to see of one call."""

    line: str
    headers: dict[str, str]
    body: bytes


class Recorder(http.server.ThreadingHTTPServer):
    """Stands in for a service: writes down what reaches it, and answers as long as it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Ear)
        self.heard: list[Heard] = []
        self.answer = b"{}"


class _Ear(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self.server.heard.append(Heard(self.requestline, dict(self.headers.items()), body))
        self.send_response(200)
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    do_POST = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def recording() -> Iterator[Recorder]:
    """Yield a running recorder."""
    with Recorder() as recorder:
        thread = threading.Thread(target=recorder.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield recorder
        finally:
            recorder.shutdown()
            thread.join()
