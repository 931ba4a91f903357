"""Logging to standard error: JSON for a cluster, lines for a terminal. Nothing leaves without passing the redactor."""

from __future__ import annotations

import datetime
import json
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import TracebackType
from typing import Any, TextIO

QUIET = {
    "botocore": logging.WARNING,
    "boto3": logging.WARNING,
    "urllib3": logging.WARNING,
    "kubernetes": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
    "kopf": logging.WARNING,
    "kopf.objects": logging.WARNING,
}
"""Libraries that are held down whatever our own level is: botocore, kubernetes and urllib3 log whole requests, bodies and signatures,
and kopf logs every event of every object."""

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "settings", "k8s_skip"}
"""Attributes every record has, and those kopf adds for itself. All others were given as `extra`."""

Redact = Callable[[str], str]


class Style(StrEnum):
    """How records look."""

    JSON = "json"
    TEXT = "text"


class _Redacting(logging.Formatter):
    """Message, arguments, extra fields, exception and stack, without secrets."""

    def __init__(self, redact: Redact) -> None:
        super().__init__()
        self._redact = redact

    def parts(self, record: logging.LogRecord) -> dict[str, Any]:
        """What a record says, in the order it is printed."""
        said: dict[str, Any] = {
            "time": datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._redact(_message(record)),
        }
        said |= {self._redact(name): self._clean(value) for name, value in vars(record).items() if name not in STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            said["exception"] = self._redact(self.formatException(record.exc_info))
        if record.stack_info:
            said["stack"] = self._redact(record.stack_info)
        return said

    def _clean(self, value: Any) -> Any:
        match value:
            case None | bool() | int() | float():
                return value
            case Mapping():
                return {self._redact(str(name)): self._clean(item) for name, item in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._clean(item) for item in value]
            case _:
                return self._redact(str(value))


class JsonFormatter(_Redacting):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON."""
        return json.dumps(self.parts(record), ensure_ascii=False)


class TextFormatter(_Redacting):
    """`20:01:02 INFO    logger: message (kind=CdnDistribution name=shop)`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record for a person."""
        said = self.parts(record)
        clock, level, logger, message = (said.pop(name) for name in ("time", "level", "logger", "message"))
        below = [said.pop(name) for name in ("exception", "stack") if name in said]
        more = " ".join(f"{name}={value}" for name, value in said.items())
        return "\n".join([f"{clock[11:19]} {level:<7} {logger}: {message}" + (f" ({more})" if more else ""), *below])


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: the default prints the record's arguments, unredacted, to the stream that has just failed."""


def _message(record: logging.LogRecord) -> str:
    """A record whose arguments do not fit its format is a bug, but must not be lost, nor printed past the redactor."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError) as error:
        return f"{record.msg} {record.args!r} (badly formatted log record: {error})"


def configure(redact: Redact, *, level: str = "INFO", style: Style = Style.JSON, stream: TextIO | None = None) -> None:
    """Make this the process's only logging. Uncaught exceptions and warnings go the same way."""
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(redact) if style is Style.JSON else TextFormatter(redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, lowest in QUIET.items():
        logging.getLogger(name).setLevel(max(lowest, root.level))
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_thread


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("securebase").critical("uncaught exception", exc_info=(kind, error, trace))


def _log_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or issubclass(args.exc_type, SystemExit):
        return
    name = args.thread.name if args.thread else "?"
    logging.getLogger("securebase").critical("uncaught exception in thread %s", name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))
