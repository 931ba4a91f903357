"""The API server goes away in the middle of an answer, or before TLS is up: time is needed, nobody is killed by it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kubernetes.client import Configuration

from securebase.clients.kubernetes import Kubernetes
from securebase.core.errors import Terminal, Transient
from securebase.core.kind import SecretRef

CUT_OFF = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"items": ['
NOT_TEXT = b'{"data": {"token": "//79/A=="}, "metadata": {"uid": "0123456789", "resourceVersion": "1"}}'


@contextmanager
def answering(answer: bytes, scheme: str = "http") -> Iterator[Kubernetes]:
    """A client of a server that gives every connection this answer and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        configuration = Configuration()
        configuration.host, configuration.retries = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}", False
        api = Kubernetes(configuration)
        yield api
        api.close()
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.mark.parametrize(("answer", "scheme"), [(b"this is no TLS\r\n" * 10, "https"), (CUT_OFF, "http")], ids=["no TLS", "cut off"])
def test_an_answer_that_is_none_may_go_away_by_itself(answer: bytes, scheme: str) -> None:
    with answering(answer, scheme) as api:
        for ask in (
            lambda: api.get("/api/v1/namespaces/kube-system"),
            lambda: api.list_metadata("/api/v1/secrets"),
            lambda: list(api.watch_metadata("/api/v1/secrets", 1, lambda: False)),
        ):
            with pytest.raises(Transient, match="KubernetesUnreachable"):
                ask()


def test_a_secret_that_is_no_text() -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(NOT_TEXT), NOT_TEXT)
    with answering(whole) as api:
        with pytest.raises(Terminal, match="web/s"):
            api.secret(SecretRef("web", "s", "token"))
        with pytest.raises(Terminal, match="Secret web/s, key token"):
            api.secret_values("web", "s", "token")
