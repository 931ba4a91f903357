"""ElastiCache, kept whole by the lab: replication groups and members, parameter, subnet and user groups, users, snapshots, tags.

The emulators have no status transitions, roles, deferred changes or AUTH strategies, so no part of these types lives in them (serverless
caches and single clusters still do). Times are `Settings.elasticache_*_s`; quotas `Settings.quotas["elasticache.nodes"]` and the like
(`parameter_groups`, `subnet_groups`, `snapshots`, `users`, `user_groups`); `Settings.elasticache_redis` puts a real Redis behind each group made
from then on (elasticache_redis.py). What happens by itself in AWS, a test does with `Control.elasticache` (`act` below).
What is mirrored of which document stands at the head of each elasticache_*.py; tags: ElastiCache API reference, AddTagsToResource.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from lab.aws.context import Lab
from lab.aws.models import elasticache_groups as groups
from lab.aws.models import elasticache_modify as modification
from lab.aws.models import elasticache_parameters as parameters
from lab.aws.models import elasticache_scaling as scaling
from lab.aws.models import elasticache_snapshots as snapshots
from lab.aws.models import elasticache_subnets as subnets
from lab.aws.models import elasticache_users as users
from lab.aws.models import elasticache_views as views
from lab.aws.models.elasticache_redis import RedisFronts
from lab.aws.models.elasticache_rules import ENGINE_VERSIONS
from lab.aws.models.elasticache_state import Desk, Group, Member, Store, User, UserGroup, page
from lab.aws.wire import AwsFault, Call, Reply, answer

_MOST_TAGS = 50
_LONGEST_WAKE_S = 60.0

Handler = Callable[[Desk], Awaitable[Any]]
# Those that answer with the group they work on.
_GROUP_HANDLERS: dict[str, Callable[[Desk], Awaitable[Group]]] = {
    "CreateReplicationGroup": groups.create,
    "DeleteReplicationGroup": groups.delete,
    "ModifyReplicationGroup": modification.modify,
    "IncreaseReplicaCount": scaling.increase,
    "DecreaseReplicaCount": scaling.decrease,
    "ModifyReplicationGroupShardConfiguration": scaling.reshard,
    "TestFailover": scaling.test_failover,
}
_HANDLERS: dict[str, Handler] = {
    "ListAllowedNodeTypeModifications": scaling.allowed_node_types,
    "CreateCacheParameterGroup": parameters.create,
    "DescribeCacheParameterGroups": parameters.describe,
    "DescribeCacheParameters": parameters.describe_parameters,
    "DescribeEngineDefaultParameters": parameters.describe_defaults,
    "ModifyCacheParameterGroup": parameters.modify,
    "ResetCacheParameterGroup": parameters.reset,
    "DeleteCacheParameterGroup": parameters.delete,
    "CreateCacheSubnetGroup": subnets.create,
    "DescribeCacheSubnetGroups": subnets.describe,
    "ModifyCacheSubnetGroup": subnets.modify,
    "DeleteCacheSubnetGroup": subnets.delete,
    "CreateSnapshot": snapshots.create,
    "DescribeSnapshots": snapshots.describe,
    "DeleteSnapshot": snapshots.delete,
    "CreateUser": users.create_user,
    "DescribeUsers": users.describe_users,
    "ModifyUser": users.modify_user,
    "DeleteUser": users.delete_user,
    "CreateUserGroup": users.create_group,
    "DescribeUserGroups": users.describe_groups,
    "ModifyUserGroup": users.modify_group,
    "DeleteUserGroup": users.delete_group,
}


def settle(store: Store) -> None:
    """What is due by the lab's clock has happened."""
    now = store.lab.clock()
    for group in list(store.groups.values()):
        if group.until and now >= group.until:
            done, group.done, group.until, group.status = group.done, None, 0.0, "available"
            if done is not None:
                done()
    things: list[User | UserGroup] = [*store.users.values(), *store.user_groups.values()]
    for thing in things:
        if thing.until and now >= thing.until:
            done, thing.done, thing.until, thing.status = thing.done, None, 0.0, "active"
            if done is not None:
                done()
    for snapshot in store.snapshots.values():
        if snapshot.status == "creating" and now >= snapshot.until:
            snapshot.status = "available"


class ElastiCache:
    services = frozenset({"elasticache"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.fronts = RedisFronts(lab)
        self._stores: dict[tuple[str, str], Store] = {}
        self._handlers: dict[str, Handler] = _HANDLERS | {
            "DescribeReplicationGroups": partial(views.describe_groups, addresses=self.fronts),
            "DescribeCacheClusters": partial(views.describe_members, addresses=self.fronts),
            "DescribeCacheEngineVersions": _engine_versions,
            "RebootCacheCluster": _reboot,
            "ListTagsForResource": _tags,
            "AddTagsToResource": _add_tags,
            "RemoveTagsFromResource": _remove_tags,
        }

    def reset(self) -> None:
        self._stores.clear()
        self._lab.tagged.clear()
        self.fronts.close()

    def _store(self, account: str, region: str) -> Store:
        key = (account, region)
        if key not in self._stores:
            store = Store(self._lab, account, region)
            store.users["default"] = users.default_user(store)
            self._stores[key] = store
        return self._stores[key]

    def security_group_users(self, account: str, region: str, identifier: str) -> list[str]:
        """ARNs of the groups behind this security group."""
        store = self._store(account, region)
        settle(store)
        return [group.arn for group in store.groups.values() if identifier in group.security_groups]

    def _wake(self, store: Store, seconds: float) -> None:
        """A real Redis must learn of a change when it is due, not when somebody asks next."""
        if self.fronts.any_open and seconds <= _LONGEST_WAKE_S:
            asyncio.get_running_loop().call_later(seconds + 0.01, partial(self._due, store))

    def _due(self, store: Store) -> None:
        if self._stores.get((store.account, store.region)) is store:
            settle(store)
            self.fronts.follow(store)

    async def before(self, call: Call) -> Reply | None:
        handler, group_handler = self._handlers.get(call.operation), _GROUP_HANDLERS.get(call.operation)
        if handler is None and group_handler is None:
            return None
        store = self._store(call.account, call.region)
        settle(store)
        desk = Desk(store, call, partial(self._wake, store), self.fronts.dump)
        if group_handler is not None:
            # A group made with a real Redis behind it must have its front before the first wake.
            group = await group_handler(desk)
            self.fronts.follow(store)
            result = {"ReplicationGroup": views.group_document(store, group, self.fronts)}
            if group.until:
                self._wake(store, max(0.0, group.until - self._lab.clock()))
        else:
            assert handler is not None
            result = await handler(desk)
        self.fronts.follow(store)
        return answer(call, result)

    async def after(self, call: Call, reply: Reply) -> Reply:
        return reply

    async def act(self, action: str, name: str, account: str = "000000000000", region: str = "us-east-1", **more: Any) -> Any:
        """What happens without a call of ours, to the replication group `name`; at once, whatever its status.

        `replace-member` (member, by=None): another node takes the member's place, under the lowest unused name or `by`; returns its id.
        `failover` (shard="0001"): the first replica becomes primary, clients are cut off. `auth-token` (token): somebody else set this token.
        `maintenance`: the window has come, deferred changes are applied. `status` (status, seconds=None): it has this status, for so long.
        `series`: the dimensions under which CloudWatch has this group's metrics, a list for each member.
        """
        store = self._store(account, region)
        settle(store)
        group = store.group(name)
        result = self._acted(store, group, action, more)
        self.fronts.follow(store)
        return result

    def _acted(self, store: Store, group: Group, action: str, more: dict[str, Any]) -> Any:
        match action:
            case "replace-member":
                return _replace(store, group, more["member"], more.get("by"))
            case "failover":
                scaling.flip(next(shard for shard in group.shards if shard.id == more.get("shard", "0001")))
                self.fronts.drop(group.arn)
            case "auth-token":
                group.tokens, group.token_optional, group.token_changed = (more["token"],), False, datetime.now(UTC)
            case "maintenance":
                group.under_way, group.deferred = [*group.under_way, *group.deferred], []
                modification.finish(group)
            case "status":
                seconds = more.get("seconds")
                group.status, group.until = more["status"], 0.0 if seconds is None else store.lab.clock() + float(seconds)
            case "series":
                # User Guide, "Metrics for Valkey and Redis OSS": by CacheClusterId, of a node also by CacheClusterId and CacheNodeId.
                return [[{"Name": "CacheClusterId", "Value": member.id}] for _, member in group.members()]
            case _:
                raise ValueError(f"unknown: {action}; known: replace-member, failover, auth-token, maintenance, status, series")
        return None


def _replace(store: Store, group: Group, old: str, by: str | None) -> str:
    shard, member = next((shard, member) for shard, member in group.members() if member.id == old)
    taken = {other.id for _, other in group.members()}
    stem, _, digits = old.rpartition("-")
    new = by or next(name for number in range(1, 1000) if (name := f"{stem}-{number:0{len(digits)}d}") not in taken)
    shard.members = [Member(new, member.zone, datetime.now(UTC)) if other is member else other for other in shard.members]
    store.lab.tagged[store.arn("cluster", new)] = store.lab.tagged.pop(store.arn("cluster", old), {})
    return new


async def _engine_versions(desk: Desk) -> dict[str, Any]:
    params = desk.params
    rows = [
        {"Engine": engine, "EngineVersion": full, "CacheParameterGroupFamily": family, "CacheEngineDescription": engine}
        for (engine, short), (full, family) in ENGINE_VERSIONS.items()
        if params.get("Engine", engine) == engine
        and params.get("EngineVersion", full) in (full, short)
        and params.get("CacheParameterGroupFamily", family) == family
    ]
    return page(params, "CacheEngineVersions", rows)


async def _reboot(desk: Desk) -> dict[str, Any]:
    """RebootCacheCluster: "The reboot causes the contents of the cache to be lost"; parameters that waited for it are in force."""
    wanted = desk.params["CacheClusterId"].lower()
    for group in desk.store.groups.values():
        for _, member in group.members():
            if member.id == wanted:
                if group.status != "available":
                    raise AwsFault("InvalidCacheClusterState", f"{wanted} is {group.status}.")
                member.reboot_needed = False
                desk.occupy(group, "modifying", desk.lab.settings.elasticache_modify_s)
                return {"CacheCluster": views.member_document(desk.store, group, member, None, False)}
    raise AwsFault("CacheClusterNotFound", f"CacheCluster {wanted} not found.")


def _tagged(desk: Desk) -> list[str]:
    """The resource's ARN, and for a replication group its members': tags are replicated to them."""
    arn, store = str(desk.params["ResourceName"]), desk.store
    parts = arn.split(":")
    if len(parts) < 7 or parts[2] != "elasticache" or parts[3:5] != [store.region, store.account]:
        raise AwsFault("InvalidARN", f"{arn} is not a valid ARN of this account and region.")
    kind, name = parts[5], parts[6]
    match kind:
        case "replicationgroup":
            group = store.group(name) if desk.call.operation == "ListTagsForResource" else store.available(name)
            return [arn, *(store.arn("cluster", member.id) for _, member in group.members())]
        case "cluster":
            if name not in {member.id for group in store.groups.values() for _, member in group.members()}:
                raise AwsFault("CacheClusterNotFound", f"CacheCluster {name} not found.")
        case "parametergroup":
            parameters.find_group(store, name)
        case "subnetgroup":
            subnets.find_group(store, name)
        case "snapshot":
            snapshots.find(desk, name)
        case "user":
            users.find_user(store, name)
        case "usergroup":
            users.find_group(store, name)
        case _:
            raise AwsFault("InvalidARN", f"{arn} names no resource that has tags.")
    return [arn]


def _tag_list(desk: Desk, arn: str) -> dict[str, Any]:
    return {"TagList": [{"Key": key, "Value": value} for key, value in sorted(desk.lab.tagged.get(arn, {}).items())]}


async def _tags(desk: Desk) -> dict[str, Any]:
    return _tag_list(desk, _tagged(desk)[0])


async def _add_tags(desk: Desk) -> dict[str, Any]:
    arns = _tagged(desk)
    if len({*desk.lab.tagged.get(arns[0], {}), *(tag["Key"] for tag in desk.params["Tags"])}) > _MOST_TAGS:
        raise AwsFault("TagQuotaPerResourceExceeded", f"A resource can have at most {_MOST_TAGS} tags.")
    for arn in arns:
        desk.store.tag(arn, desk.params["Tags"])
    return _tag_list(desk, arns[0])


async def _remove_tags(desk: Desk) -> dict[str, Any]:
    arns = _tagged(desk)
    if missing := [key for key in desk.params["TagKeys"] if key not in desk.lab.tagged.get(arns[0], {})]:
        raise AwsFault("TagNotFound", f"The requested tags were not found: {missing}")
    for arn in arns:
        for key in desk.params["TagKeys"]:
            desk.lab.tagged.get(arn, {}).pop(key, None)
    return _tag_list(desk, arns[0])
