"""`AwsEndpoint`: starts the emulators and the router, and hands out the endpoint's URL and its controls."""

from __future__ import annotations

import asyncio
import sys
import threading
import urllib.request
from collections.abc import Coroutine, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from aiohttp import web

from lab.aws.calls import CallLog
from lab.aws.context import Backends, Lab, LabClock, Settings
from lab.aws.models import all_models
from lab.aws.models.cloudwatch import CloudWatch
from lab.aws.models.elasticache import ElastiCache
from lab.aws.models.sns_subscriptions import SnsSubscriptions
from lab.aws.router import Router
from lab.aws.rules import Rule
from lab.aws.stale import Scope
from lab.aws.wire import preload
from lab.processes import Child, free_port, loopback_environment, start_child, wait_until

T = TypeVar("T")
REPOSITORY = Path(__file__).resolve().parents[2]
MINISTACK = REPOSITORY / ".venv" / "emulator" / "bin" / "ministack"
# Services that moto answers for because it does them better; every other one is ministack's.
MOTO_SERVICES = ("acm", "ec2")


class Control:
    """The lab's hand on AWS, from the process that started it. /_lab/... offers the same over HTTP."""

    def __init__(self, router: Router, loop: asyncio.AbstractEventLoop) -> None:
        self._router, self._loop = router, loop

    @property
    def log(self) -> CallLog:
        return self._router.log

    @property
    def settings(self) -> Settings:
        return self._router.lab.settings

    @property
    def stale_served(self) -> int:
        return self._router.stale.served

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def reset(self) -> None:
        """Everything as just started, settings apart."""
        self._run(self._router.reset())

    def add(self, rule: Rule) -> Rule:
        return self._router.rules.add(rule)

    def remove(self, rule: Rule) -> None:
        self._router.rules.remove(rule)

    def delay(self, seconds: float, service: str = "*", operation: str = "*", **more: Any) -> Rule:
        return self.add(Rule("delay", service, operation, delay_s=seconds, **more))

    def fail(self, service: str, operation: str, code: str, status: int | None = None, times: int | None = None, **more: Any) -> Rule:
        """An AWS error instead of the deed; `status` None takes the service model's."""
        return self.add(Rule("fail", service, operation, code=code, status=status, times=times, **more))

    def lose_answer(self, service: str, operation: str, times: int | None = 1, **more: Any) -> Rule:
        """The deed is done, the connection is dropped before the answer."""
        return self.add(Rule("lose", service, operation, times=times, **more))

    def clear_rules(self) -> None:
        self._router.rules.clear()

    def throttle(self, scale: float = 1.0) -> None:
        """AWS's documented rates (lab/aws/limits.py) times `scale`; 0 is off."""
        self._router.throttle.set_scale(scale)

    def stale(self, lag_s: float, scope: Scope = "lists", services: frozenset[str] = frozenset()) -> None:
        """Reads lag `lag_s` behind writes (lab/aws/stale.py says which); 0 is off."""
        self._router.stale.configure(lag_s, scope, services)

    def advance(self, seconds: float) -> None:
        """Lets the lab's clock jump: deployments end, tokens lapse."""
        self._router.lab.clock.advance(seconds)

    def ask(self, service: str, operation: str, params: Mapping[str, Any], account: str = "000000000000", region: str = "us-east-1") -> dict[str, Any]:
        """A call past the router: no rules, no models, no log."""
        return self._run(self._router.lab.backends.ask(service, operation, params, account, region))

    def elasticache(self, action: str, group: str, **more: Any) -> Any:
        """What happens to a replication group by itself: `replace-member`, `failover`, `auth-token`, ... (ElastiCache.act)."""
        return self._run(self.model(ElastiCache).act(action, group, **more))

    def alarm_state(self, account: str, region: str, name: str, state: str, reason: str = "by the lab", at: datetime | None = None) -> None:
        """An alarm changes its state by itself, now or at a time in the past (CloudWatch.transition)."""
        self._run(self.model(CloudWatch).transition(account, region, name, state, reason, at))

    def confirm_subscription(self, topic: str, endpoint: str) -> str:
        """Somebody follows the link SNS sent to this address; the subscription's ARN."""
        return self.model(SnsSubscriptions).confirm(topic, endpoint)

    @property
    def redis_certificate_file(self) -> Path:
        """The authority of the real Redis servers (Settings.elasticache_redis); there once the first group has one."""
        return self.model(ElastiCache).fronts.certificate_file

    def model(self, kind: type[T]) -> T:
        """A model by its class, for its test hooks."""
        return next(model for model in self._router.models if isinstance(model, kind))


class AwsEndpoint:
    """Context manager: ministack, moto and the router on loopback. `url` is what `endpoint_url` and AWS_ENDPOINT_URL take."""

    def __init__(self, state_dir: Path, *, settings: Settings | None = None, ministack: Path = MINISTACK, port: int | None = None) -> None:
        self._state_dir, self._settings, self._ministack = state_dir, settings or Settings(), ministack
        self._port = port or free_port()
        self._stack = ExitStack()
        self._control: Control | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    @property
    def control(self) -> Control:
        if self._control is None:
            raise RuntimeError("the AWS endpoint is not running")
        return self._control

    @property
    def environment(self) -> dict[str, str]:
        """What a client's process needs. The access key is the account: twelve digits."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "000000000000",
            "AWS_SECRET_ACCESS_KEY": "lab",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __enter__(self) -> AwsEndpoint:
        try:
            children = [self._start_ministack(), self._start_moto()]
            preload()
            for name, url, child in children:
                wait_until(partial(_answers, url), f"{name} on {url}", children=[child])
                self._stack.callback(child.stop)
            self._start_router(children[0][1], children[1][1].removesuffix("/moto-api/"))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._control = None
        self._stack.close()

    def _start_ministack(self) -> tuple[str, str, Child]:
        port = free_port()
        data = self._state_dir / "ministack"
        data.mkdir(parents=True, exist_ok=True)
        environment = loopback_environment() | {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "LOG_LEVEL": "WARNING",
            "TMPDIR": str(data),
            "S3_DATA_DIR": str(data / "s3"),
            "SFTP_ENABLED": "0",
        }
        child = start_child("ministack", [self._ministack], log=self._state_dir / "ministack.log", environment=environment)
        return "ministack", f"http://127.0.0.1:{port}", child

    def _start_moto(self) -> tuple[str, str, Child]:
        port = free_port()
        # Its own validation would issue a certificate after a minute, record or no record: the model of ACM decides instead.
        environment = loopback_environment() | {"MOTO_ACM_VALIDATION_WAIT": "1000000000"}
        command: list[str | Path] = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
        child = start_child("moto", command, log=self._state_dir / "moto.log", environment=environment)
        return "moto", f"http://127.0.0.1:{port}/moto-api/", child

    def _start_router(self, ministack: str, moto: str) -> None:
        backends = Backends(ministack, dict.fromkeys(MOTO_SERVICES, moto))
        lab = Lab(LabClock(), self._settings, backends, state_dir=self._state_dir)
        router = Router(lab, all_models(lab))
        loop = asyncio.new_event_loop()
        stop = asyncio.Event()
        ready = threading.Event()
        failed: list[OSError] = []

        async def serve() -> None:
            async with backends:
                runner = web.ServerRunner(web.Server(router.handle, access_log=None, request_factory=_unlimited), shutdown_timeout=1)
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", self._port, backlog=1024).start()
                ready.set()
                await stop.wait()
                await runner.cleanup()
                await _end(router)

        def run() -> None:
            try:
                loop.run_until_complete(serve())
            except OSError as error:  # told to the starting thread below
                failed.append(error)
                ready.set()
            finally:
                loop.close()

        thread = threading.Thread(target=run, name="aws-endpoint", daemon=True)
        thread.start()
        if not ready.wait(30) or failed:
            raise RuntimeError(f"the AWS endpoint did not start on {self.url}") from (failed[0] if failed else None)

        def end() -> None:
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)

        self._stack.callback(end)
        self._control = Control(router, loop)


async def _end(router: Router) -> None:
    """Models let go of what they started; nothing of theirs is left in the loop."""
    for model in router.models:
        model.reset()
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def _unlimited(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """A request of any size: aiohttp's own limit is 1 MiB, S3's 5 GiB."""
    return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=0)


def _answers(url: str) -> bool:
    # build_opener with an empty ProxyHandler: a build machine's proxy must not be asked for loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=2) as response:
        return bool(response.status < 500)
