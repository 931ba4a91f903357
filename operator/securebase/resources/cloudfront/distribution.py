"""The driver of CloudFront distributions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import ReconcileError, Terminal, TokenSpent, Transient, Waiting
from securebase.core.identity import OWNER_TAG, Identity
from securebase.resources.cloudfront.distribution_config import EMPTY, Raw, items, overlay, read, spelled_like, visible_tags
from securebase.resources.cloudfront.model import HOSTED_ZONE_ID, Distribution
from securebase.resources.cloudfront.quotas import quota_named
from securebase.resources.listing import LAG_SECONDS, STORM_SECONDS, Listing, tells_all

Target_ = Target[Distribution]
Observed_ = Observed[Distribution]

_GONE: Final = ("NoSuchDistribution",)
_CHANGED: Final = ("PreconditionFailed", "InvalidIfMatchVersion")
_POLL_SECONDS: Final = 5.0
_TAGS_WHILE_DEPLOYING: Final = 600.0
_DEPLOYING: Final = "CloudFront is bringing the change to its edges, which takes some minutes"


@dataclass(frozen=True, slots=True)
class _Summary:
    """One line of the account's list. `stamp` changes whenever the configuration does."""

    id: str
    arn: str
    domain_name: str
    deployed: bool
    aliases: frozenset[str]
    stamp: datetime


@dataclass(frozen=True, slots=True)
class _Full:
    """A configuration as read when the list's stamp was `stamp`, without the raw form, which would fill the memory."""

    value: Distribution
    etag: str
    stamp: datetime
    at: float

    def holds(self, summary: _Summary) -> bool:
        """Whether the configuration is still the one the list speaks of."""
        return self.stamp == summary.stamp and tells_all(self.stamp, self.at)


class DistributionDriver:
    """Distributions of one account.

    Without a recorded id a distribution is found by its owner tag, else by an alias that we want and it has: then whoever owns it
    is told to the core.
    """

    type: ClassVar[str] = "cloudfront/distribution"
    GUARDS: ClassVar[bool] = True

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._summaries: Listing[str, _Summary] = Listing(self._list, clock)
        self._tagged: Listing[str, Mapping[str, str]] = Listing(self._list_tagged, clock)
        self._full: dict[str, _Full] = {}
        self._tags_read: dict[str, tuple[float, Mapping[str, str]]] = {}
        self._created: dict[str, float] = {}
        self._unconfirmed: dict[str, float] = {}
        self._deploying: set[str] = set()

    # --- observe ----------------------------------------------------------------------------------------------------------------

    def observe(self, targets: Sequence[Target_], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: one read by id each. SWEEP: the list, the tags, and a read of each configuration that the list says changed."""
        if depth is Depth.SWEEP:
            return self._sweep(targets)
        return {target.key: self._answer(self._fresh, target) for target in targets}

    def _answer(self, look: Callable[[Target_], Observed_ | None], target: Target_) -> Answer:
        try:
            return look(target)
        except ReconcileError as error:
            return error

    def _fresh(self, target: Target_) -> Observed_ | None:
        id = target.external_id or self._find(target)
        if (polled := self._polled(target, id)) is not None:
            return polled
        found = self._by_id(id, target.desired) if id else None
        if found is None and self._clock() - self._created.get(id, float("-inf")) < LAG_SECONDS:
            raise Waiting("NotVisibleYet", f"distribution {id} was just made and cannot be read yet", 5.0)
        return found

    def _polled(self, target: Target_, id: str) -> Observed_ | None:
        """How a deployment goes, from a list that is seconds old, when that is cheaper than a read of each of many.

        It is as good as a read by id: the list's stamp says that the configuration is the one we know, and a write starts from a read
        of its own, refused when the ETag is not the current one. None = read by id.
        """
        if id not in self._deploying or len(self._deploying) <= 2 + self._summaries.known() // 100:
            return None
        at, tags = self._tags_read.get(id, (float("-inf"), {}))
        full, summary = self._full.get(id), self._summaries.get(_POLL_SECONDS).get(id)
        if full is None or summary is None or not full.holds(summary) or self._clock() - at > _TAGS_WHILE_DEPLOYING:
            return None
        if summary.deployed:
            self._deploying.discard(id)
        return _observation(summary, replace(spelled_like(full.value, target.desired), tags=visible_tags(tags)), full.etag, tags)

    def _find(self, target: Target_) -> str:
        """Id of a distribution that carries our owner tag, else of one that holds an alias we want; "" for neither."""
        owned = (id for id, tags in self._tagged.get(STORM_SECONDS).items() if tags.get(OWNER_TAG) == target.owner)
        if id := next(owned, ""):
            return id
        wanted = target.desired.aliases if target.desired else frozenset()
        if not wanted:
            return ""
        return next((summary.id for summary in self._summaries.get(STORM_SECONDS).values() if summary.aliases & wanted), "")

    def _by_id(self, id: str, like: Distribution | None) -> Observed_ | None:
        answer = self._aws.attempt("cloudfront", "get_distribution", _GONE, Id=id)
        if isinstance(answer, Refusal):
            self._forget(id)
            return None
        return self._observed(answer["Distribution"], answer["ETag"], self._tags(answer["Distribution"]), like)

    def _tags(self, distribution: Raw) -> Mapping[str, str]:
        """The tags. While a change of ours deploys, and the distribution is looked at again and again, those read within a minute do."""
        at, known = self._tags_read.get(distribution["Id"], (float("-inf"), {}))
        if distribution["Status"] != "Deployed" and self._clock() - at < STORM_SECONDS:
            return known
        return self._read_tags(distribution["Id"], distribution["ARN"])

    def _read_tags(self, id: str, arn: str) -> Mapping[str, str]:
        answer = self._aws.call("cloudfront", "list_tags_for_resource", Resource=arn)
        tags = {tag["Key"]: tag.get("Value", "") for tag in items(answer["Tags"])}
        self._remember_tags(id, tags)
        return tags

    def _remember_tags(self, id: str, tags: Mapping[str, str]) -> None:
        self._tags_read[id] = (self._clock(), tags)
        if OWNER_TAG in tags:
            self._tagged.put(id, tags)

    def _observed(self, distribution: Raw, etag: str, tags: Mapping[str, str], like: Distribution | None) -> Observed_:
        config = distribution["DistributionConfig"]
        value = read(config, tags)
        summary = _summary(distribution, config)
        self._summaries.put(summary.id, summary)
        self._full[summary.id] = _Full(value, etag, summary.stamp, self._clock())
        (self._deploying.discard if summary.deployed else self._deploying.add)(summary.id)
        return _observation(summary, spelled_like(value, like), etag, tags, raw=config)

    def _forget(self, id: str) -> None:
        self._summaries.drop(id)
        self._tagged.drop(id)
        self._full.pop(id, None)
        self._tags_read.pop(id, None)
        self._deploying.discard(id)

    # --- sweep ------------------------------------------------------------------------------------------------------------------

    def _list(self) -> Mapping[str, _Summary]:
        pages = self._aws.pages("cloudfront", "list_distributions", MaxItems="100")
        found = (_summary(each, each) for page in pages for each in items(page["DistributionList"]))
        return {summary.id: summary for summary in found}

    def _list_tagged(self) -> Mapping[str, Mapping[str, str]]:
        pages = self._aws.pages(
            "resourcegroupstaggingapi",
            "get_resources",
            TagFilters=[{"Key": OWNER_TAG}],
            ResourceTypeFilters=["cloudfront:distribution"],
            ResourcesPerPage=100,
        )
        return {
            each["ResourceARN"].rpartition("/")[2]: {tag["Key"]: tag["Value"] for tag in each["Tags"]}
            for page in pages
            for each in page["ResourceTagMappingList"]
        }

    def _sweep(self, targets: Sequence[Target_]) -> Mapping[Key, Answer]:
        try:
            summaries, tagged = self._summaries.get(), self._tagged.get()
        except ReconcileError as error:
            return {target.key: error for target in targets}
        self._full = {id: full for id, full in self._full.items() if id in summaries}
        self._tags_read = {id: known for id, known in self._tags_read.items() if id in summaries}
        self._created = {id: at for id, at in self._created.items() if self._clock() - at < LAG_SECONDS}
        return {target.key: self._answer(lambda target: self._swept(target, summaries, tagged), target) for target in targets}

    def _swept(self, target: Target_, summaries: Mapping[str, _Summary], tagged: Mapping[str, Mapping[str, str]]) -> Observed_ | None:
        summary = summaries.get(target.external_id or self._find(target))
        if summary is None:
            return self._fresh(target)
        full = self._full.get(summary.id)
        if full is None or not full.holds(summary):
            answer = self._aws.attempt("cloudfront", "get_distribution_config", _GONE, Id=summary.id)
            if isinstance(answer, Refusal):
                return self._fresh(target)
            full = _Full(read(answer["DistributionConfig"], {}), answer["ETag"], summary.stamp, self._clock())
            self._full[summary.id] = full
        tags = tagged.get(summary.id)
        if tags is None:
            tags = self._read_tags(summary.id, summary.arn)
        value = replace(spelled_like(full.value, target.desired), tags=visible_tags(tags))
        return _observation(summary, value, full.etag, tags, checked_at=full.at)

    # --- write ------------------------------------------------------------------------------------------------------------------

    def create(self, target: Target_, token: str) -> Observed_:
        """Make it, tagged from its first moment. The token is its CallerReference: CloudFront makes one for each, for ever."""
        desired = target.want()
        tags = {**desired.tags, OWNER_TAG: target.owner}
        config = {"CallerReference": token, **overlay(EMPTY, desired)}
        with quota_named():
            answer = self._aws.attempt(
                "cloudfront",
                "create_distribution_with_tags",
                ("DistributionAlreadyExists", "CNAMEAlreadyExists"),
                DistributionConfigWithTags={"DistributionConfig": config, "Tags": _tag_items(tags)},
            )
        if isinstance(answer, Refusal):
            return self._refused(target, token, answer)
        made = answer["Distribution"]
        self._created[made["Id"]] = self._clock()
        self._remember_tags(made["Id"], tags)
        return self._observed(made, answer["ETag"], tags, desired)

    def _refused(self, target: Target_, token: str, refusal: Refusal) -> Observed_:
        if refusal.code == "CNAMEAlreadyExists":
            raise self._alias_taken(target, refusal)
        found = self._made_with(target, token, refusal.message)
        if found is not None:
            self._unconfirmed.pop(token, None)
            return found
        since = self._unconfirmed.setdefault(token, self._clock())
        if self._clock() - since < LAG_SECONDS:
            raise Waiting("CreateUnconfirmed", "CloudFront says it was made already, but does not show it yet", 10.0)
        self._unconfirmed.pop(token, None)
        raise TokenSpent("the distribution made with this token is gone")

    def _made_with(self, target: Target_, token: str, message: str) -> Observed_ | None:
        """The distribution an earlier try made. CloudFront names it ("... Already exists: E1ABC..."); else its owner tag does; else,
        as tags show late, whichever untagged one has our token."""
        named = re.search(r"Already exists: (\w+)", message)
        self._tagged.forget()
        if id := named.group(1) if named else self._find(replace(target, desired=None)):
            return self._by_id(id, target.desired)
        tagged = self._tagged.get(STORM_SECONDS)
        for id in self._summaries.get().keys() - tagged.keys():
            found = self._by_id(id, target.desired)
            if found is not None and found.raw["CallerReference"] == token:
                return found
        return None

    def _alias_taken(self, target: Target_, refusal: Refusal) -> Terminal:
        """The holder may be of this account: the next look, with a new list, finds it then."""
        self._summaries.forget()
        aliases = ", ".join(sorted(target.want().aliases))
        return Terminal(refusal.code, f"another distribution already has one of the aliases {aliases}, or a wildcard of it ({refusal.message})")

    def update(self, target: Target_, observed: Observed_, changes: Sequence[Change]) -> Observed_:
        """Overlay the managed fields on the configuration as read, then set and remove tags."""
        desired = target.want()
        if any(not change.path.startswith("tags[") for change in changes):
            observed = self._write(target, observed, lambda raw: overlay(raw, desired))
        removed = [change.path[len("tags[") : -1] for change in changes if change.path.startswith("tags[") and change.want is None]
        wanted = {key: value for key, value in desired.tags.items() if observed.value.tags.get(key) != value}
        if removed or wanted:
            self._write_tags(observed, wanted, removed)
        tags = {key: value for key, value in {**observed.value.tags, **wanted}.items() if key not in removed}
        self._remember_tags(observed.external_id, {**tags, **({OWNER_TAG: observed.owner} if observed.owner else {})})
        return replace(observed, value=replace(observed.value, tags=tags))

    def _write_tags(self, observed: Observed_, wanted: Mapping[str, str], removed: Sequence[str]) -> None:
        arn = observed.attributes["arn"]
        if wanted:
            self._aws.call("cloudfront", "tag_resource", Resource=arn, Tags=_tag_items(wanted))
        if removed:
            self._aws.call("cloudfront", "untag_resource", Resource=arn, TagKeys={"Items": list(removed)})

    def _write(self, target: Target_, observed: Observed_, change: Callable[[Raw], Raw]) -> Observed_:
        """One whole-object write that starts from the object as read, refused when somebody else wrote in between."""
        if observed.raw is None:
            read_now = self._by_id(observed.external_id, target.desired)
            if read_now is None:
                raise Transient("Gone", f"distribution {observed.external_id} went away while it was to be changed")
            observed = read_now
        config = change(observed.raw)
        if config == observed.raw:
            return observed
        with quota_named():
            answer = self._aws.attempt(
                "cloudfront",
                "update_distribution",
                (*_CHANGED, "CNAMEAlreadyExists"),
                Id=observed.external_id,
                IfMatch=observed.etag,
                DistributionConfig=config,
            )
        if isinstance(answer, Refusal):
            if answer.code in _CHANGED:
                raise Transient("ChangedMeanwhile", f"distribution {observed.external_id} was changed by somebody else in between")
            raise self._alias_taken(target, answer)
        tags = {**observed.value.tags, **({OWNER_TAG: observed.owner} if observed.owner else {})}
        return self._observed(answer["Distribution"], answer["ETag"], tags, target.desired)

    def adopt(self, target: Target_, observed: Observed_) -> Observed_:
        """Put our owner tag on it."""
        self._write_tags(observed, {OWNER_TAG: target.owner}, ())
        self._remember_tags(observed.external_id, {**observed.value.tags, OWNER_TAG: target.owner})
        return replace(observed, owner=target.owner)

    def delete(self, target: Target_, observed: Observed_) -> Observed_ | None:
        """Disable; once every edge knows, delete with the new ETag. Each step is found again from what is there."""
        now = observed if observed.raw is not None else self._by_id(observed.external_id, target.desired)
        if now is None:
            return None
        if now.raw["Enabled"]:
            disabled = self._write(target, now, lambda raw: {**raw, "Enabled": False})
            return replace(disabled, state=State.PENDING, reason="Disabling", message="switched off; deleted once every edge knows")
        if now.state is not State.READY:
            return replace(now, reason="Disabling", message="switched off; deleted once every edge knows")
        expected = (*_GONE, *_CHANGED, "DistributionNotDisabled", "ResourceInUse")
        answer = self._aws.attempt("cloudfront", "delete_distribution", expected, Id=now.external_id, IfMatch=now.etag)
        if isinstance(answer, Refusal) and answer.code not in _GONE:
            if answer.code == "ResourceInUse":
                raise Waiting("InUse", f"distribution {now.external_id} cannot be deleted yet: {answer.message}", 30.0)
            raise Transient("ChangedMeanwhile", f"distribution {now.external_id} was changed by somebody else in between")
        self._created.pop(now.external_id, None)
        self._forget(now.external_id)
        return None

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """Node id -> distribution id, by owner tag."""
        prefix = identity.owner("")
        found = {tags[OWNER_TAG]: id for id, tags in self._tagged.get(STORM_SECONDS).items()}
        return {owner.removeprefix(prefix): id for owner, id in found.items() if owner.startswith(prefix)}


def _summary(distribution: Raw, config: Raw) -> _Summary:
    return _Summary(
        id=distribution["Id"],
        arn=distribution["ARN"],
        domain_name=distribution["DomainName"],
        deployed=distribution["Status"] == "Deployed",
        aliases=frozenset(items(config.get("Aliases"))),
        stamp=distribution["LastModifiedTime"],
    )


def _observation(summary: _Summary, value: Distribution, etag: str, tags: Mapping[str, str], *, raw: Any = None, checked_at: float = 0.0) -> Observed_:
    attributes = {"id": summary.id, "arn": summary.arn, "domainName": summary.domain_name, "hostedZoneId": HOSTED_ZONE_ID}
    return Observed(
        external_id=summary.id,
        value=value,
        state=State.READY if summary.deployed else State.PENDING,
        reason="" if summary.deployed else "InProgress",
        message="" if summary.deployed else _DEPLOYING,
        owner=tags.get(OWNER_TAG, ""),
        etag=etag,
        attributes={**attributes, "deployed": "true"} if summary.deployed else attributes,
        raw=raw,
        checked_at=checked_at,
    )


def _tag_items(tags: Mapping[str, str]) -> dict[str, Any]:
    return {"Items": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}
