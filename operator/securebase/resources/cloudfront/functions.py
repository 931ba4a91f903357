"""The driver of CloudFront functions: shared, named by their code, and only of use once they are published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import IN_USE, Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import ReconcileError, Transient, Waiting
from securebase.resources.cloudfront.distribution_config import Raw, items
from securebase.resources.cloudfront.model import Function
from securebase.resources.cloudfront.policies import owner_by_name
from securebase.resources.cloudfront.quotas import quota_named
from securebase.resources.listing import STORM_SECONDS, Listing, tells_all

_GONE: Final = ("NoSuchFunctionExists",)
_CHANGED: Final = ("PreconditionFailed", "InvalidIfMatchVersion")
DEVELOPMENT: Final = "DEVELOPMENT"
LIVE: Final = "LIVE"


@dataclass(frozen=True, slots=True)
class _Line:
    """A function as its list tells it. `stamp` changes with the code, which no list returns."""

    name: str
    runtime: str
    comment: str
    arn: str
    stamp: datetime


@dataclass(frozen=True, slots=True)
class _Code:
    """The LIVE code, read at `at` (clock seconds) when the list showed `stamp`."""

    text: str
    stamp: datetime
    at: float


class FunctionDriver:
    """Functions of one account. What counts is the LIVE stage: it is what distributions run. The external id is the name.

    A function that is not published shows as PENDING with empty code, so that its difference leads to `update`, which publishes.
    """

    type: ClassVar[str] = "cloudfront/function"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._live: Listing[str, _Line] = Listing(self._list, clock)
        self._clock = clock
        self._code: dict[str, _Code] = {}

    def observe(self, targets: Sequence[Target[Function]], depth: Depth) -> Mapping[Key, Answer]:
        """From the list of LIVE functions, of at most a minute when FRESH; code is read where the list's time changed. What is not
        LIVE is looked for in a new list, then by name in DEVELOPMENT."""
        try:
            lines = self._live.get(STORM_SECONDS if depth is Depth.FRESH else 0.0)
            if depth is Depth.FRESH and any(_name(target) not in lines for target in targets):
                lines = self._live.get()
        except ReconcileError as error:
            return {target.key: error for target in targets}
        return {target.key: self._answer(target, lines) for target in targets}

    def _answer(self, target: Target[Function], lines: Mapping[str, _Line]) -> Answer:
        name = _name(target)
        try:
            return self._published(target, lines[name]) if name in lines else self._unpublished(target, name)
        except ReconcileError as error:
            return error

    def _list(self) -> Mapping[str, _Line]:
        pages = self._aws.pages("cloudfront", "list_functions", Stage=LIVE, MaxItems="100")
        lines = (_line(each) for page in pages for each in items(page["FunctionList"]))
        return {line.name: line for line in lines}

    def _published(self, target: Target[Function], line: _Line) -> Observed[Function] | None:
        code = self._code.get(line.name)
        if code is None or code.stamp != line.stamp or not tells_all(code.stamp, code.at):
            text = self._read_code(line.name, LIVE)
            if text is None:
                self._live.drop(line.name)
                return self._unpublished(target, line.name)
            code = _Code(text, line.stamp, self._clock())
            self._code[line.name] = code
        return _observation(target, line, code.text)

    def _unpublished(self, target: Target[Function], name: str) -> Observed[Function] | None:
        answer = self._describe(name, DEVELOPMENT)
        return None if answer is None else _observation(target, _line(answer["FunctionSummary"]), None)

    def _describe(self, name: str, stage: str) -> dict[str, Any] | None:
        answer = self._aws.attempt("cloudfront", "describe_function", _GONE, Name=name, Stage=stage)
        return None if isinstance(answer, Refusal) else answer

    def _read_code(self, name: str, stage: str) -> str | None:
        answer = self._aws.attempt("cloudfront", "get_function", _GONE, Name=name, Stage=stage)
        return None if isinstance(answer, Refusal) else _text(answer["FunctionCode"].read())

    def create(self, target: Target[Function], token: str) -> Observed[Function]:
        """Make it and publish it. A try that stopped in between is taken up: the name is the function's identity."""
        desired = target.want()
        with quota_named():
            answer = self._aws.attempt(
                "cloudfront",
                "create_function",
                ("FunctionAlreadyExists",),
                Name=desired.name,
                FunctionConfig=_config(desired, {}),
                FunctionCode=desired.code.encode(),
            )
        if isinstance(answer, Refusal):
            return self._publish(target, self._develop(desired))
        return self._publish(target, answer["ETag"])

    def update(self, target: Target[Function], observed: Observed[Function], changes: Sequence[Change]) -> Observed[Function]:
        """Bring the wanted code to DEVELOPMENT, then to LIVE."""
        return self._publish(target, self._develop(target.want()))

    def _develop(self, desired: Function) -> str:
        """The ETag of the DEVELOPMENT stage, once it holds the wanted code."""
        now = self._describe(desired.name, DEVELOPMENT)
        if now is None:
            raise Transient("Gone", f"function {desired.name} went away while it was to be changed")
        config = now["FunctionSummary"]["FunctionConfig"]
        wanted = _config(desired, config)
        if wanted == config and self._read_code(desired.name, DEVELOPMENT) == desired.code:
            return str(now["ETag"])
        with quota_named():
            answer = self._aws.attempt(
                "cloudfront", "update_function", _CHANGED, Name=desired.name, IfMatch=now["ETag"], FunctionConfig=wanted, FunctionCode=desired.code.encode()
            )
        # The service model has a misspelt header here (UpdateFunctionResult, `ETtag`): where it is not sent so, the answer lacks its ETag.
        etag = _unchanged(desired.name, answer).get("ETag") or (self._describe(desired.name, DEVELOPMENT) or {}).get("ETag", "")
        return str(etag)

    def _publish(self, target: Target[Function], etag: str) -> Observed[Function]:
        desired = target.want()
        _unchanged(desired.name, self._aws.attempt("cloudfront", "publish_function", _CHANGED, Name=desired.name, IfMatch=etag))
        live = self._describe(desired.name, LIVE)
        if live is None:
            raise Transient("NotVisibleYet", f"function {desired.name} was published, but cannot be read yet")
        line = _line(live["FunctionSummary"])
        self._live.wrote(line.name, line)
        self._code[line.name] = _Code(desired.code, line.stamp, self._clock())
        return _observation(target, line, desired.code)

    def delete(self, target: Target[Function], observed: Observed[Function]) -> Observed[Function] | None:
        """Delete both stages, unless a distribution still uses it."""
        name = observed.external_id
        now = self._describe(name, DEVELOPMENT)
        if now is None:
            return None
        answer = self._aws.attempt("cloudfront", "delete_function", (*_GONE, *_CHANGED, "FunctionInUse"), Name=name, IfMatch=now["ETag"])
        if isinstance(answer, Refusal) and answer.code in _CHANGED:
            raise _changed(name)
        if isinstance(answer, Refusal) and answer.code == "FunctionInUse":
            raise Waiting(IN_USE, f"function {name} is still used by a distribution", 15.0)
        self._live.drop(name)
        self._code.pop(name, None)
        return None


def _name(target: Target[Function]) -> str:
    return target.external_id or (target.desired.name if target.desired else "")


def _text(code: bytes) -> str:
    return code.decode(errors="replace")


def _line(summary: Raw) -> _Line:
    config, metadata = summary["FunctionConfig"], summary["FunctionMetadata"]
    return _Line(summary["Name"], config["Runtime"], config.get("Comment", ""), metadata["FunctionARN"], metadata["LastModifiedTime"])


def _observation(target: Target[Function], line: _Line, code: str | None) -> Observed[Function]:
    published = code is not None
    usable = published and (target.desired is None or code == target.desired.code)
    return Observed(
        external_id=line.name,
        value=Function(line.name, code or "", line.runtime, line.comment),
        state=State.READY if published else State.PENDING,
        reason="" if published else "Unpublished",
        message="" if published else "exists, but was never published",
        owner=owner_by_name(target, line.name),
        attributes={"arn": line.arn} if usable else {},
    )


def _config(desired: Function, there: Raw) -> dict[str, Any]:
    return {**there, "Comment": desired.comment, "Runtime": desired.runtime}


def _changed(name: str) -> Transient:
    return Transient("ChangedMeanwhile", f"function {name} was changed by somebody else in between")


def _unchanged(name: str, answer: dict[str, Any] | Refusal) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        raise _changed(name)
    return answer
