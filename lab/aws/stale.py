"""Reads that lag behind writes: the eventual consistency of AWS's lists, bounded by a time we choose.

An answer given at t reflects every write older than t - lag, and may miss later ones. A remembered answer may therefore be
served as long as no write to its resource type happened between its making and t - lag; this keeps the bound also under steady
writes. What AWS documents: S3 User Guide, "Amazon S3 data consistency model" (objects strong, bucket configurations eventual);
ACM API, DescribeCertificate ("a delay of several seconds before you can retrieve information about the new certificate");
Resource Groups Tagging API, GetResources; Route 53 and CloudFront propagate changes, their reads by id are not promised either way.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from lab.aws.wire import AwsFault, Call, Reply

Scope = Literal["lists", "reads", "absent"]
_VERB = re.compile(
    r"^(Create|Update|Delete|Put|Get|List|Describe|Head|Publish|Request|Set|Change|Add|Remove|Tag|Untag|Subscribe|Unsubscribe|Import|Enable|Disable|Copy|Modify|Reset|Restore|Increase|Decrease|Test|Authorize|Revoke)"
)
_LIST = re.compile(r"^(List|Describe.*s$|GetResources$|GetRestApis$|GetApis$)")
# Operations of one resource type whose names do not share its noun.
_NOUNS = {
    "metricalarm": "alarm",
    "compositealarm": "alarm",
    "alarmstate": "alarm",
    "alarmaction": "alarm",
    "resourcerecordset": "recordset",
    "topicattribute": "topic",
    "cachecluster": "replicationgroup",
    "replicacount": "replicationgroup",
    "failover": "replicationgroup",
    "replicationgroupshardconfiguration": "replicationgroup",
    "cacheparameter": "cacheparametergroup",
    "securitygroupingress": "securitygroup",
    "securitygroupegress": "securitygroup",
    "securitygrouprule": "securitygroup",
    "deliveryconfiguration": "delivery",
    "tocertificate": "certificate",
    "tagstocertificate": "certificate",
    "tagsfromcertificate": "certificate",
    "retentionpolicy": "loggroup",
    "associatekmskey": "loggroup",
    "disassociatekmskey": "loggroup",
    # Subscribe and Unsubscribe name nothing but the verb.
    "": "subscription",
    "confirmsubscription": "subscription",
    "subscriptionattribute": "subscription",
}
# Strongly consistent by documentation: never served stale.
_STRONG = {("s3", "object"), ("s3", "objects"), ("sts", "calleridentity")}
# What a service says of a resource it does not know yet; CloudFront names the type.
_MISSING = {
    ("acm", "certificate"): ("ResourceNotFoundException", 400),
    ("cloudfront", "function"): ("NoSuchFunctionExists", 404),
    ("cloudfront", "tag"): ("NoSuchResource", 404),
    ("route53", "hostedzone"): ("NoSuchHostedZone", 404),
    ("s3", "bucketpolicy"): ("NoSuchBucketPolicy", 404),
    ("s3", "buckettagging"): ("NoSuchTagSet", 404),
    ("sns", "topic"): ("NotFound", 404),
}


def _not_found(call: Call) -> AwsFault:
    code, status = _MISSING.get((call.service, resource_type(call)), ("", 400))
    match call.service:
        case "cloudfront" if not code:
            code, status = f"NoSuch{call.operation.removeprefix('Get').removesuffix('Config')}", 404
        case "s3" if not code:
            code, status = "NoSuchBucket", 404
    return AwsFault(code or "ResourceNotFoundException", "not visible yet", status)


def resource_type(call: Call) -> str:
    """The noun of an operation: CreateDistributionWithTags, GetDistributionConfig and ListDistributions are all `distribution`."""
    if call.operation in (
        "TagResource",
        "UntagResource",
        "ListTagsForResource",
        "AddTagsToCertificate",
        "RemoveTagsFromCertificate",
        "AddTagsToResource",
        "RemoveTagsFromResource",
    ):
        return "tag"
    noun = _VERB.sub("", call.operation)
    noun = re.sub(r"(WithTags.*|2020_05_31|By[A-Z].*|V2)$", "", noun)
    noun = re.sub(r"(ies)$", "y", noun)
    noun = re.sub(r"(?<!s)s$", "", noun)
    noun = re.sub(r"Config$", "", noun).lower()
    return _NOUNS.get(noun, noun)


@dataclass(slots=True)
class _Answer:
    reply: Reply
    at: float


@dataclass(slots=True)
class Staleness:
    """`lag_s` 0 is off. `scope`: 'lists'; 'reads' adds reads by id; 'absent' also denies, for `lag_s`, what was never read before."""

    clock: Callable[[], float]
    lag_s: float = 0.0
    scope: Scope = "lists"
    services: frozenset[str] = frozenset()
    served: int = 0
    _answers: dict[tuple[str, ...], _Answer] = field(default_factory=dict)
    _writes: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)

    def configure(self, lag_s: float, scope: Scope = "lists", services: frozenset[str] = frozenset()) -> None:
        """Empty `services` means all. What was remembered is forgotten."""
        self.lag_s, self.scope, self.services, self.served = lag_s, scope, services, 0
        self._answers.clear()
        self._writes.clear()

    def _covers(self, call: Call) -> bool:
        if not self.lag_s or call.operation == "Unknown" or (self.services and call.service not in self.services):
            return False
        return (call.service, resource_type(call)) not in _STRONG

    def _written(self, call: Call) -> list[float]:
        kind = "tag" if call.service == "resourcegroupstaggingapi" else resource_type(call)
        return self._writes.setdefault((call.account, call.service, kind), [])

    def _key(self, call: Call) -> tuple[str, ...]:
        return (call.account, call.region, call.service, call.operation, call.target, call.body.decode(errors="replace"))

    def instead(self, call: Call) -> Reply | None:
        """The old answer to serve now, if this read is to be stale."""
        if call.is_write or not self._covers(call):
            return None
        is_list = bool(_LIST.match(call.operation))
        if not is_list and self.scope == "lists":
            return None
        now, writes = self.clock(), self._written(call)
        horizon = now - self.lag_s
        if not writes or writes[-1] <= horizon:
            return None
        old = self._answers.get(self._key(call))
        if old is not None and old.at < writes[-1] and bisect_right(writes, horizon) <= bisect_right(writes, old.at):
            self.served += 1
            return old.reply
        if old is None and not is_list and self.scope == "absent" and self._is_new(writes, horizon):
            self.served += 1
            raise _not_found(call)
        return None

    @staticmethod
    def _is_new(writes: list[float], horizon: float) -> bool:
        return bisect_right(writes, horizon) < len(writes)

    def remember(self, call: Call, reply: Reply, asked_at: float) -> None:
        """Called after the deed, with its fresh answer; a write that came while a read was under way may be missing from it."""
        if not self._covers(call):
            return
        if not call.is_write:
            self._answers[self._key(call)] = _Answer(reply, asked_at)
        elif reply.ok:
            now = self.clock()
            self._written(call).append(now)
            # Whatever is written may carry tags, and what is deleted is still found by them for a while.
            self._writes.setdefault((call.account, "resourcegroupstaggingapi", "tag"), []).append(now)
