"""CloudFront: deployments that take time, names and references that must be free or exist, what is in use, quotas, and pages.

Mirrors the CloudFront API reference (the Errors section of each operation) and the CloudFront Developer Guide ("Quotas", "Use custom
URLs by adding alternate domain names"). State is learned from the writes that pass, so all writes must come through the router.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from lab.aws.context import Lab
from lab.aws.models import cloudfront_rules as rules
from lab.aws.models.cloudfront_defaults import with_defaults
from lab.aws.models.cloudfront_quotas import QUOTAS, TOO_MANY
from lab.aws.models.cloudfront_state import Distribution, Use, uses_of
from lab.aws.models.cloudfront_times import Times, now_text, stamp
from lab.aws.models.distribution_summary import summary_of
from lab.aws.models.pages import Listing, item_tag, page, split
from lab.aws.wire import AwsFault, Call, Reply, rewrite

_MANAGED_LISTS = {
    "CachePolicy": "ListCachePolicies",
    "OriginRequestPolicy": "ListOriginRequestPolicies",
    "ResponseHeadersPolicy": "ListResponseHeadersPolicies",
}
_CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "CachePolicy": rules.check_cache_policy,
    "OriginRequestPolicy": rules.check_origin_request_policy,
    "ResponseHeadersPolicy": rules.check_response_headers_policy,
}
_SHARED = re.compile(r"^(Create|Update|Delete|Publish)(CachePolicy|OriginRequestPolicy|ResponseHeadersPolicy|OriginAccessControl|Function)$")
_USERS = re.compile(r"^ListDistributionsBy(CachePolicy|OriginRequestPolicy|ResponseHeadersPolicy)Id$")
_LIST_MEMBERS = frozenset({"Marker", "NextMarker", "MaxItems", "IsTruncated", "Quantity"})
_ID = re.compile(rb"<Id>([^<]+)</Id>")
# ministack writes an empty list where a policy was given none; CloudFront leaves it out.
_EMPTY_LIST = re.compile(rb"<(Headers|Cookies|QueryStrings)><Quantity>0</Quantity>(?:<Items ?/>|<Items></Items>)?</\1>")


def _config_of(call: Call) -> dict[str, Any]:
    config: dict[str, Any] = call.params.get("DistributionConfig") or call.params["DistributionConfigWithTags"]["DistributionConfig"]
    return config


class CloudFront:
    services = frozenset({"cloudfront"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._managed: dict[str, frozenset[str]] = {}
        self.reset()

    def reset(self) -> None:
        self.distributions: dict[str, Distribution] = {}
        # (account, kind) -> ids that exist; a function's value says whether it was published to LIVE.
        self._shared: dict[tuple[str, str], dict[str, bool]] = {}
        self._listings: dict[tuple[str, ...], Listing] = {}
        self._writes: Counter[str] = Counter()
        self._times = Times()

    # -- before ---------------------------------------------------------------------------------------------------------------

    async def before(self, call: Call) -> Reply | None:
        match call.operation:
            case "CreateDistribution" | "CreateDistributionWithTags" | "UpdateDistribution":
                await self._admit_distribution(call)
            case "DeleteDistribution":
                self._admit_delete(call)
            case "CreateInvalidation":
                self._admit_invalidation(call)
            case "ListDistributions":
                mine = tuple(other.summary for other in self.distributions.values() if other.account == call.account)
                return self._page(call, Listing("DistributionList", _LIST_MEMBERS, mine))
            case operation if found := _USERS.match(operation):
                return await self._list_users(call, found.group(1))
            case operation if operation.startswith("List"):
                call.epoch = self._writes[call.account]
                listing = self._listings.get(self._list_key(call))
                return self._page(call, listing) if listing is not None else None
            case operation if found := _SHARED.match(operation):
                self._admit_shared(call, found.group(1), found.group(2))
        return None

    async def _admit_distribution(self, call: Call) -> None:
        config = _config_of(call)
        current = self.distributions.get(call.params.get("Id", ""))
        if current is None and call.operation != "UpdateDistribution":
            self._check_new(call, config)
        if current is not None and config["CallerReference"] != current.caller_reference:
            raise AwsFault("IllegalUpdate", "The CallerReference of a distribution cannot be changed.")
        rules.check_distribution(config)
        self._check_names(call, config, current)
        for use in sorted(uses_of(config), key=lambda use: (use.kind, use.id)):
            await self._check_use(call.account, use, current)
        self._check_certificate(config)
        config_key = "DistributionConfig" if "DistributionConfig" in call.params else "DistributionConfigWithTags"
        full = with_defaults(config)
        rewrite(
            call,
            call.params | {config_key: full if config_key == "DistributionConfig" else call.params[config_key] | {"DistributionConfig": full}},
        )

    def _check_new(self, call: Call, config: dict[str, Any]) -> None:
        mine = [other for other in self.distributions.values() if other.account == call.account]
        for other in mine:
            # DistributionConfig.CallerReference: a value sent before is an error whatever the rest of the configuration says.
            if other.caller_reference == config["CallerReference"]:
                raise AwsFault(
                    "DistributionAlreadyExists",
                    f"The caller reference that you are using to create a distribution is associated with another distribution. Already exists: {other.id}",
                )
        if len(mine) >= self._quota("distributions"):
            raise AwsFault("TooManyDistributions", "Processing your request would cause you to exceed the maximum number of distributions allowed.")

    def _check_names(self, call: Call, config: dict[str, Any], current: Distribution | None) -> None:
        aliases = {str(alias).lower() for alias in rules.items_of(config.get("Aliases"))}
        certificate = config.get("ViewerCertificate", {})
        if aliases and not (certificate.get("ACMCertificateArn") or certificate.get("IAMCertificateId")):
            raise AwsFault(
                "InvalidViewerCertificate",
                "To add an alternate domain name (CNAME) to a CloudFront distribution, you must attach a trusted certificate "
                "that validates your authorization to use the domain name.",
            )
        for other in self.distributions.values():
            if other is not current and (taken := aliases & other.aliases):
                raise AwsFault(
                    "CNAMEAlreadyExists",
                    f"One or more of the CNAMEs you provided are already associated with a different resource: {', '.join(sorted(taken))}",
                )

    async def _check_use(self, account: str, use: Use, current: Distribution | None) -> None:
        match use.kind:
            case "CachePolicy" | "OriginRequestPolicy" | "ResponseHeadersPolicy":
                if use.id in await self._managed_ids(use.kind):
                    return
                if use.id not in self._known(account, use.kind):
                    raise AwsFault(f"NoSuch{use.kind}", f"The {use.kind} {use.id} does not exist.", 404)
            case "OriginAccessControl":
                if use.id not in self._known(account, use.kind):
                    raise AwsFault("InvalidOriginAccessControl", f"The origin access control {use.id} does not exist.")
            case "Function":
                published = self._known(account, use.kind).get(use.id.rpartition("/")[2])
                if not published:
                    raise AwsFault("InvalidFunctionAssociation", f"The function {use.id} does not exist or is not published to LIVE.")
            case _:
                return
        self._check_association(account, use, current)

    def _check_association(self, account: str, use: Use, current: Distribution | None) -> None:
        name = f"distributions_per_{use.kind}"
        users = sum(1 for other in self._users(account, use.kind, use.id) if other is not current)
        if users >= self._quota(name):
            raise AwsFault(TOO_MANY[name], f"The maximum number of distributions ({self._quota(name)}) is associated with {use.id}.")

    def _check_certificate(self, config: dict[str, Any]) -> None:
        """Developer Guide, "Requirements for using SSL/TLS certificates with CloudFront": in us-east-1, issued, covering every alias."""
        arn = config.get("ViewerCertificate", {}).get("ACMCertificateArn")
        if not arn:
            return
        state = self._lab.certificates.get(arn)
        if not str(arn).startswith("arn:aws:acm:us-east-1:") or state is None or state.status != "ISSUED":
            raise AwsFault(
                "InvalidViewerCertificate",
                "The specified SSL certificate doesn't exist, isn't in us-east-1 region, isn't valid, or doesn't include a valid certificate chain.",
            )
        for alias in rules.items_of(config.get("Aliases")):
            if not state.covers(alias):
                raise AwsFault(
                    "InvalidViewerCertificate",
                    f"The certificate that is attached to your distribution doesn't cover the alternate domain name (CNAME) {alias}.",
                )

    def _admit_delete(self, call: Call) -> None:
        current = self.distributions.get(call.params["Id"])
        if current is not None and self._lab.clock() < current.ready_at:
            # DeleteDistribution wants the disabling to be deployed first; CloudFront gives it this same code.
            raise AwsFault("DistributionNotDisabled", "The distribution you are trying to delete has not been disabled.")

    def _admit_invalidation(self, call: Call) -> None:
        """Developer Guide, "Quotas on invalidations"."""
        current = self.distributions.get(call.params["DistributionId"])
        if current is None:
            return
        now = self._lab.clock()
        running = [path for identifier, until in current.expires.items() if until > now for path in current.paths[identifier]]
        paths = running + rules.items_of(call.params["InvalidationBatch"]["Paths"])
        wildcards = sum(1 for path in paths if path.endswith("*"))
        if wildcards > self._quota("invalidation_wildcards_in_progress") or len(paths) - wildcards > self._quota("invalidation_paths_in_progress"):
            raise AwsFault(
                "TooManyInvalidationsInProgress",
                "Processing your request would cause you to exceed the maximum number of in-progress invalidations.",
            )

    def _admit_shared(self, call: Call, verb: str, kind: str) -> None:
        known = self._known(call.account, kind)
        if verb in ("Create", "Update") and kind in _CHECKS:
            _CHECKS[kind](call.params[f"{kind}Config"])
        if verb == "Create" and len(known) >= self._quota(kind):
            raise AwsFault(TOO_MANY[kind], f"You have reached the maximum number ({self._quota(kind)}) of {kind} resources for this account.")
        if verb == "Create" and kind == "Function" and len(call.params["FunctionCode"]) > 10_240:
            raise AwsFault("FunctionSizeLimitExceeded", "The function code exceeds the maximum of 10 KB.", 413)
        if verb == "Delete":
            identifier = call.params["Name" if kind == "Function" else "Id"]
            if any(self._users(call.account, kind, identifier)):
                raise AwsFault(f"{kind}InUse", f"Cannot delete the {kind} {identifier} because it is in use by one or more distributions.")

    # -- after ----------------------------------------------------------------------------------------------------------------

    async def after(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok:
            return reply
        if call.is_write:
            self._listings = {key: listing for key, listing in self._listings.items() if key[0] != call.account}
            self._writes[call.account] += 1
            self._times.note(call.account, call.operation, reply.body)
        if "Policy" in call.operation:
            reply.body = _EMPTY_LIST.sub(b"", reply.body)
        match call.operation:
            case "CreateDistribution" | "CreateDistributionWithTags" | "UpdateDistribution":
                self._note_distribution(call, reply)
            case "DeleteDistribution":
                self._forget(call.params["Id"])
            case "CreateInvalidation":
                self._note_invalidation(call, reply)
            case operation if found := _SHARED.match(operation):
                self._note_shared(call, reply, found.group(1), found.group(2))
        tag = item_tag(call)
        if tag is not None:
            listing = split(call, reply.body, tag)
            # A list that was under way while something was written may lack it: it is given, not kept.
            if call.epoch == self._writes[call.account]:
                self._listings[self._list_key(call)] = listing
            return self._page(call, listing)
        reply.body = self._times.correct(call.account, call.operation, self._with_status(call, reply.body))
        return reply

    def _note_distribution(self, call: Call, reply: Reply) -> None:
        config = _config_of(call)
        found = _ID.search(reply.body)
        assert found is not None
        identifier = found.group(1).decode()
        old = self.distributions.get(identifier)
        aliases = frozenset(str(alias).lower() for alias in rules.items_of(config.get("Aliases")))
        new = Distribution(
            identifier, call.account, config["CallerReference"], aliases, uses_of(config),
            self._lab.clock() + self._lab.settings.distribution_deploy_s,
            reply.headers.get("ETag", ""), now_text(),
            summary_of(reply.body),
        )  # fmt: skip
        if old is not None:
            new.expires, new.paths = old.expires, old.paths
        self._forget(identifier)
        self.distributions[identifier] = new
        self._lab.distributions.add(new.arn)
        for use in new.uses:
            if use.kind == "Certificate":
                self._lab.certificate_users.setdefault(use.id, set()).add(new.arn)

    def _forget(self, identifier: str) -> None:
        old = self.distributions.pop(identifier, None)
        if old is None:
            return
        self._lab.distributions.discard(old.arn)
        for use in old.uses:
            if use.kind == "Certificate":
                self._lab.certificate_users.get(use.id, set()).discard(old.arn)

    def _note_invalidation(self, call: Call, reply: Reply) -> None:
        current, found = self.distributions.get(call.params["DistributionId"]), _ID.search(reply.body)
        if current is not None and found is not None and (identifier := found.group(1).decode()) not in current.expires:
            current.expires[identifier] = self._lab.clock() + self._lab.settings.invalidation_s
            current.paths[identifier] = rules.items_of(call.params["InvalidationBatch"]["Paths"])

    def _note_shared(self, call: Call, reply: Reply, verb: str, kind: str) -> None:
        known = self._known(call.account, kind)
        found = _ID.search(reply.body)
        match verb, kind:
            case "Create", "Function":
                known[call.params["Name"]] = False
            case "Publish", "Function":
                known[call.params["Name"]] = True
            case "Delete", _:
                known.pop(call.params["Name" if kind == "Function" else "Id"], None)
            case "Create", _ if found is not None:
                known[found.group(1).decode()] = True

    # -- lists and status -----------------------------------------------------------------------------------------------------

    def _list_key(self, call: Call) -> tuple[str, ...]:
        others = sorted(f"{name}={value}" for name, value in call.params.items() if name not in ("Marker", "MaxItems"))
        return (call.account, call.operation, *others)

    async def _list_users(self, call: Call, kind: str) -> Reply:
        """ministack looks for the policy in a text it has not parsed and finds none."""
        identifier = call.params[f"{kind}Id"]
        if identifier not in self._known(call.account, kind) and identifier not in await self._managed_ids(kind):
            raise AwsFault(f"NoSuch{kind}", f"The {kind} {identifier} does not exist.", 404)
        tag = item_tag(call) or "DistributionId"
        users = "".join(f"<{tag}>{user.id}</{tag}>" for user in self._users(call.account, kind, identifier))
        return self._page(call, split(call, users.encode(), tag))

    def _page(self, call: Call, listing: Listing) -> Reply:
        reply = page(call, listing)
        tag = (item_tag(call) or "").encode()
        if tag.endswith(b"Summary"):
            reply.body = re.sub(rb"<%b>.*?</%b>" % (tag, tag), lambda item: self._current(call, item.group()), reply.body, flags=re.DOTALL)
        return reply

    def _current(self, call: Call, item: bytes) -> bytes:
        """An item of a list as it is now."""
        return self._times.correct(call.account, call.operation, self._with_etag(self._with_status(call, item)))

    def _with_etag(self, item: bytes) -> bytes:
        """DistributionSummary.ETag, "the current version of the distribution", which ministack leaves out."""
        found = _ID.search(item)
        distribution = self.distributions.get(found.group(1).decode()) if found is not None else None
        if distribution is None or not self._lab.settings.distribution_list_etag:
            return item
        return item.replace(b"</ARN>", b"</ARN><ETag>" + distribution.etag.encode() + b"</ETag>", 1)

    def _with_status(self, call: Call, body: bytes) -> bytes:
        """`InProgress` for as long as a deployment or an invalidation takes; ministack has finished at once."""
        found = _ID.search(body)
        if found is None or b"<Status>" not in body:
            return body
        identifier = found.group(1).decode()
        now = self._lab.clock()
        if (distribution := self.distributions.get(identifier)) is not None:
            running = sum(1 for until in distribution.expires.values() if until > now)
            body = re.sub(rb"(<InProgressInvalidationBatches>)\d+", rb"\g<1>%d" % running, body, count=1)
            body = stamp(body, distribution.modified)
            return body.replace(b"<Status>Deployed<", b"<Status>InProgress<", 1) if now < distribution.ready_at else body
        owner = self.distributions.get(str(call.params.get("DistributionId", "")))
        if owner is not None and owner.expires.get(identifier, 0) > now:
            return body.replace(b"<Status>Completed<", b"<Status>InProgress<", 1)
        return body

    # -- state ----------------------------------------------------------------------------------------------------------------

    def _known(self, account: str, kind: str) -> dict[str, bool]:
        return self._shared.setdefault((account, kind), {})

    def _users(self, account: str, kind: str, identifier: str) -> Iterator[Distribution]:
        wanted = Use(kind, f"arn:aws:cloudfront::{account}:function/{identifier}" if kind == "Function" and "/" not in identifier else identifier)
        return (other for other in self.distributions.values() if other.account == account and wanted in other.uses)

    def _quota(self, name: str) -> int:
        return self._lab.settings.quotas.get(name, QUOTAS[name])

    async def _managed_ids(self, kind: str) -> frozenset[str]:
        if kind not in self._managed:
            listed = await self._lab.backends.ask("cloudfront", _MANAGED_LISTS[kind], {"Type": "managed"}, "000000000000", "us-east-1")
            items = next(iter(listed.values()))["Items"]
            self._managed[kind] = frozenset(item[kind]["Id"] for item in items)
        return self._managed[kind]
