"""The drivers of what many distributions share: cache, origin request and response headers policies, origin access controls.

All four are listed with their whole configuration, named by their content and refused deletion while a distribution uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import IN_USE, Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, Transient, Waiting
from securebase.core.identity import digest
from securebase.resources.cloudfront import policy_config
from securebase.resources.cloudfront.distribution_config import Raw, items
from securebase.resources.cloudfront.model import CachePolicy, OriginAccessControl, OriginRequestPolicy, ResponseHeadersPolicy
from securebase.resources.cloudfront.quotas import quota_named
from securebase.resources.listing import STORM_SECONDS, Listing

P = TypeVar("P", CachePolicy, OriginRequestPolicy, ResponseHeadersPolicy, OriginAccessControl)


@dataclass(frozen=True, slots=True)
class Api(Generic[P]):
    """How CloudFront's API spells one of the types. `summary` takes id and configuration out of a line of the list."""

    shape: str
    noun: str
    nouns: str
    list_params: Mapping[str, str]
    summary: Callable[[Raw], tuple[str, Raw]]
    read: Callable[[Raw], P]
    write: Callable[[P], dict[str, Any]]


def owner_by_name(target: Target[Any], name: str) -> str:
    """Who a thing without tags belongs to: its name is made from the instance, or is exactly the one this target's kind made up; else
    nobody we know."""
    desired = target.desired
    ours = name.startswith(f"sb-{digest(target.identity.instance, length=8)}-") or (desired is not None and name == desired.name)
    return target.owner if ours else ""


class SharedPolicyDriver(Generic[P]):
    """One of the four types in one account.

    FRESH answers come from a list of at most a minute where that has the policy: it is immutable and shared, and 500 objects that
    want it must not read 500 lists. What such a list lacks is looked for in a new one.
    """

    type: ClassVar[str]
    api: Api[P]

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._listing: Listing[str, P] = Listing(self._list, clock)

    def observe(self, targets: Sequence[Target[P]], depth: Depth) -> Mapping[Key, Answer]:
        """By recorded id, else by name."""
        try:
            answers = self._matched(targets, self._listing.get(STORM_SECONDS if depth is Depth.FRESH else 0.0))
            missing = [target for target in targets if answers[target.key] is None]
            if missing and depth is Depth.FRESH:
                answers |= self._matched(missing, self._listing.get())
        except ReconcileError as error:
            return {target.key: error for target in targets}
        for target in targets:
            if answers[target.key] is None and target.external_id:
                answers[target.key] = self._by_id(target)
        return answers

    def _matched(self, targets: Sequence[Target[P]], listing: Mapping[str, P]) -> dict[Key, Answer]:
        by_name = {policy.name: id for id, policy in listing.items()}
        answers: dict[Key, Answer] = {}
        for target in targets:
            named = by_name.get(target.desired.name, "") if target.desired else ""
            id = target.external_id if target.external_id in listing else named
            answers[target.key] = self._observed(target, id, listing[id]) if id else None
        return answers

    def _by_id(self, target: Target[P]) -> Answer:
        try:
            return self._read(target, target.external_id)
        except ReconcileError as error:
            return error

    def _read(self, target: Target[P], id: str) -> Observed[P] | None:
        answer = self._aws.attempt("cloudfront", f"get_{self.api.noun}", (f"NoSuch{self.api.shape}",), Id=id)
        if isinstance(answer, Refusal):
            self._listing.drop(id)
            return None
        return self._from(target, answer)

    def _from(self, target: Target[P], answer: Raw) -> Observed[P]:
        found = answer[self.api.shape]
        config = found[f"{self.api.shape}Config"]
        value = self.api.read(config)
        self._listing.put(found["Id"], value)
        return replace(self._observed(target, found["Id"], value), etag=answer["ETag"], raw=config)

    def _wrote(self, target: Target[P], answer: Raw) -> Observed[P]:
        written = self._from(target, answer)
        self._listing.wrote(written.external_id, written.value)
        return written

    def _observed(self, target: Target[P], id: str, value: P) -> Observed[P]:
        return Observed(external_id=id, value=value, owner=owner_by_name(target, value.name), attributes={"id": id})

    def _list(self) -> Mapping[str, P]:
        pages = self._aws.pages("cloudfront", f"list_{self.api.nouns}", **self.api.list_params, MaxItems="100")
        found = (self.api.summary(each) for page in pages for each in items(page[f"{self.api.shape}List"]))
        return {id: self.api.read(config) for id, config in found}

    def create(self, target: Target[P], token: str) -> Observed[P]:
        """Make it, or find the one that another object, or an earlier try, made under the same name: its content is the same."""
        desired = target.want()
        config = {f"{self.api.shape}Config": self.api.write(desired)}
        with quota_named():
            answer = self._aws.attempt("cloudfront", f"create_{self.api.noun}", (f"{self.api.shape}AlreadyExists",), **config)
        if not isinstance(answer, Refusal):
            return self._wrote(target, answer)
        found = self._matched([target], self._listing.get())[target.key]
        if isinstance(found, Observed):
            return found
        raise Waiting("NotVisibleYet", f"{self.type} {desired.name} exists, but is not listed yet", 5.0)

    def update(self, target: Target[P], observed: Observed[P], changes: Sequence[Change]) -> Observed[P]:
        """Put back what somebody changed."""
        now = observed if observed.etag else self._read(target, observed.external_id)
        if now is None:
            raise Transient("Gone", f"{self.type} {observed.external_id} went away while it was to be changed")
        config = {f"{self.api.shape}Config": self.api.write(target.want())}
        with quota_named():
            answer = self._aws.attempt(
                "cloudfront", f"update_{self.api.noun}", ("PreconditionFailed", "InvalidIfMatchVersion"), Id=now.external_id, IfMatch=now.etag, **config
            )
        if isinstance(answer, Refusal):
            raise Transient("ChangedMeanwhile", f"{self.type} {observed.external_id} was changed by somebody else in between")
        return self._wrote(target, answer)

    def delete(self, target: Target[P], observed: Observed[P]) -> Observed[P] | None:
        """Delete it, unless a distribution still uses it."""
        now = observed if observed.etag else self._read(target, observed.external_id)
        if now is None:
            return None
        gone, used = f"NoSuch{self.api.shape}", f"{self.api.shape}InUse"
        expected = (gone, used, "PreconditionFailed", "InvalidIfMatchVersion")
        answer = self._aws.attempt("cloudfront", f"delete_{self.api.noun}", expected, Id=now.external_id, IfMatch=now.etag)
        if isinstance(answer, Refusal) and answer.code not in (gone, used):
            raise Transient("ChangedMeanwhile", f"{self.type} {observed.external_id} was changed by somebody else in between")
        if isinstance(answer, Refusal) and answer.code == used:
            raise Waiting(IN_USE, f"{self.type} {observed.external_id} is still used by a distribution", 15.0)
        self._listing.drop(now.external_id)
        return None


def _nested(shape: str) -> Callable[[Raw], tuple[str, Raw]]:
    return lambda line: (line[shape]["Id"], line[shape][f"{shape}Config"])


_CUSTOM = {"Type": "custom"}


class CachePolicyDriver(SharedPolicyDriver[CachePolicy]):
    """What belongs into the cache key."""

    type = "cloudfront/cache-policy"
    api = Api(
        "CachePolicy",
        "cache_policy",
        "cache_policies",
        _CUSTOM,
        _nested("CachePolicy"),
        policy_config.read_cache_policy,
        policy_config.cache_policy_config,
    )


class OriginRequestPolicyDriver(SharedPolicyDriver[OriginRequestPolicy]):
    """What the origin is sent besides."""

    type = "cloudfront/origin-request-policy"
    api = Api(
        "OriginRequestPolicy",
        "origin_request_policy",
        "origin_request_policies",
        _CUSTOM,
        _nested("OriginRequestPolicy"),
        policy_config.read_origin_request_policy,
        policy_config.origin_request_policy_config,
    )


class ResponseHeadersPolicyDriver(SharedPolicyDriver[ResponseHeadersPolicy]):
    """Headers that viewers get."""

    type = "cloudfront/response-headers-policy"
    api = Api(
        "ResponseHeadersPolicy",
        "response_headers_policy",
        "response_headers_policies",
        _CUSTOM,
        _nested("ResponseHeadersPolicy"),
        policy_config.read_response_headers_policy,
        policy_config.response_headers_policy_config,
    )


class OriginAccessControlDriver(SharedPolicyDriver[OriginAccessControl]):
    """Signs requests to a bucket."""

    type = "cloudfront/origin-access-control"
    api = Api(
        "OriginAccessControl",
        "origin_access_control",
        "origin_access_controls",
        {},
        lambda line: (line["Id"], line),
        policy_config.read_access_control,
        policy_config.access_control_config,
    )
