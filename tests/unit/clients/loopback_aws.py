"""A loopback HTTP server that answers as it is told, and a counter of calls."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

ACCOUNT = "111122223333"


@dataclass(frozen=True, slots=True)
class Received:
    """A request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server says; `hang` says nothing until the test ends, `drop` closes the connection."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    drop: bool = False


class Loopback:
    """Answers with `answer(request)` and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answer: Callable[[Received], Reply] = lambda _: Reply(500, "no answer was given to the test's server")
        self._over = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                received = Received(self.command, self.path, dict(self.headers), self.rfile.read(length).decode())
                outer.requests.append(received)
                reply = outer.answer(received)
                if reply.hang:
                    outer._over.wait(30)
                if reply.hang or reply.drop:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.send_response(reply.status)
                for name, value in (reply.headers | {"Content-Length": str(len(reply.body.encode()))}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body.encode())

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@dataclass(slots=True)
class Recorder:
    """Counts the calls."""

    calls: list[tuple[str, str, str]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def aws_call(self, service: str, operation: str, code: str, seconds: float) -> None:
        assert seconds >= 0
        self.calls.append((service, operation, code))

    def aws_throttle_wait(self, service: str, operation: str, seconds: float) -> None:
        self.waits.append(seconds)
