"""Keeps replication groups: read in lists, changed one request at a time, kept as a snapshot when they go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import RETIRED, Answer, Depth, Key, Observed, Saved, State, Target
from securebase.core.errors import ReconcileError, Terminal, Transient, Waiting
from securebase.core.identity import Identity
from securebase.resources.elasticache.group_config import create_input, group_attributes, group_value, running_version, under_way, waits_for_restart
from securebase.resources.elasticache.group_steps import Step, next_step, unreached
from securebase.resources.elasticache.model import (
    CLUSTER_PARAMETER,
    NAME_LENGTH,
    ClusterMode,
    ReplicationGroup,
    engine_parts,
    moved_on,
    parameter_family,
    problems,
)
from securebase.resources.elasticache.names import by_age, count_in, incarnation_in, made_as, outside_name, told_name
from securebase.resources.elasticache.restore import engine_of_successor, unrestorable
from securebase.resources.elasticache.snapshots import GroupSnapshots, Offsets, saved
from securebase.resources.elasticache.tags import CacheTags
from securebase.resources.listing import Listing
from securebase.resources.tagging import Tagged, tag_list, tag_map

_NOT_FOUND: Final = ("ReplicationGroupNotFoundFault", "ReplicationGroupNotFound")
_BUSY: Final = (
    "InvalidReplicationGroupState", "InvalidCacheClusterState", "InvalidUserGroupState", "InvalidCacheParameterGroupState",
)  # fmt: skip
_EXISTS: Final = ("ReplicationGroupAlreadyExists",)
_SNAPSHOT_EXISTS: Final = ("SnapshotAlreadyExistsFault",)
_NOTHING_TO_DO: Final = ("NoOperationFault",)
_AVAILABLE: Final = "available"
_LOOK_AGAIN: Final = 15.0

_SHORT: Final[Mapping[str, str]] = {
    "InsufficientCacheClusterCapacity": "AWS has no free nodes of this type in these zones now; it is tried again, and another node type or "
    "subnets in other zones may do at once",
}
"""Refusals that may go away by themselves, with what a person can do meanwhile."""

_FULL: Final[Mapping[str, str]] = {
    "ClusterQuotaForCustomerExceeded": "use fewer replicas or shards, remove caches, or raise the quota of clusters in the region",
    "NodeQuotaForCustomerExceeded": "use fewer replicas or shards, remove caches, or raise the quota of nodes in the region",
    "NodeQuotaForClusterExceeded": "use fewer replicas or shards, or raise the quota of nodes per cluster",
    "NodeGroupsPerReplicationGroupQuotaExceeded": "use fewer shards with larger nodes, or raise the quota of shards per cluster",
    "SnapshotQuotaExceededFault": "remove snapshots that nobody needs, or raise the quota of manual snapshots",
    "SnapshotFeatureNotSupportedFault": "this node type makes no snapshots; take a larger one first, or let the data go (onDelete: Delete)",
    "TagQuotaPerResourceExceeded": "AWS takes 50 tags a resource; drop some",
}
"""Refusals that stay until somebody changes the spec or a quota (https://console.aws.amazon.com/servicequotas, Amazon ElastiCache)."""

_STATES: Final[Mapping[str, tuple[State, str, str]]] = {
    "available": (State.READY, "", ""),
    "creating": (State.PENDING, "Creating", "its nodes are being made; that takes 5 to 20 minutes"),
    "modifying": (State.PENDING, "Modifying", "a change is being applied to its nodes"),
    "snapshotting": (State.PENDING, "Snapshotting", "a snapshot is being made; it serves meanwhile and takes changes afterwards"),
    "deleting": (State.PENDING, "Deleting", "its nodes are being removed"),
    "create-failed": (
        State.FAILED,
        "CreateFailed",
        "ElastiCache could not make it (its events say why); remove it, correct the spec and apply it again",
    ),
}


@dataclass(frozen=True, slots=True)
class Read:
    """A group and its member clusters as AWS tells them."""

    group: Mapping[str, Any]
    clusters: tuple[Mapping[str, Any], ...]


class ReplicationGroupDriver:
    """`elasticache/replication-group`. External id: the group's id.

    A sweep lists groups and clusters, a hundred a page each. Before acting, a group is read by its id and its settings from its first
    member by id: members are alike whenever the group is `available`, and there is no list of one group's clusters.
    """

    type: ClassVar[str] = "elasticache/replication-group"
    GUARDS: ClassVar[bool] = True
    REPLACED_GRACE_SECONDS: ClassVar[float] = 86_400.0

    def __init__(self, aws: AwsScope, clock: Callable[[], float], offsets: Offsets | None = None) -> None:
        """`offsets` asks nodes how much was written to them, where they can be reached from here."""
        self._aws = aws
        self._clock = clock
        self._groups: Listing[str, Mapping[str, Any]] = Listing(self._list_groups, clock)
        self._clusters: Listing[str, tuple[Mapping[str, Any], ...]] = Listing(self._list_clusters, clock)
        self._tags = CacheTags(aws, clock, "replicationgroup")
        self._snapshots = GroupSnapshots(aws, clock, offsets)

    def observe(self, targets: Sequence[Target[ReplicationGroup]], depth: Depth) -> Mapping[Key, Answer]:
        """SWEEP: from lists, and by id what the lists lack. FRESH: by id."""
        names = {target.key: outside_name(target, NAME_LENGTH) for target in targets}
        groups = self._groups.get() if depth is Depth.SWEEP else {}
        clusters = self._clusters.get() if groups else {}
        there = [_arn(groups[name]) for name in sorted(set(names.values())) if name in groups]
        swept = self._tags.sweep([arn for arn in there if arn]) if groups else {}
        answers: dict[Key, Answer] = {}
        for target in targets:
            name = names[target.key]
            try:
                tagged = swept.get(_arn(groups[name])) if name in groups else None
                if tagged is None:
                    answers[target.key] = self._fresh(target, name)
                else:
                    observed = self._observed(target, Read(groups[name], clusters.get(name, ())), tagged.value)
                    answers[target.key] = replace(observed, checked_at=tagged.at)
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def create(self, target: Target[ReplicationGroup], token: str) -> Observed[ReplicationGroup]:
        """Make it; the id makes it repeatable."""
        want = target.want()
        name = made_as(want, target, NAME_LENGTH)
        if wrong := "; ".join(problems(want)):
            raise Terminal("InvalidReplicationGroup", f"replication group {name}: {wrong}")
        tags = tag_list(tag_map(target.owner, want.tags))
        snapshot = target.restore_from or ("" if target.incarnation else want.snapshot_name)  # what was once given to begin with, only the first begins with
        if snapshot:
            want = replace(want, engine=engine_of_successor(want.engine, self._snapshots.engine_in(snapshot)))
        said = create_input(want, name, tags, snapshot)
        answer = self._ask("create_replication_group", (*_EXISTS, *_BUSY), **said)
        if isinstance(answer, Refusal):
            if answer.code in _BUSY:
                raise Waiting("Busy", answer.message, _LOOK_AGAIN)
            return self._made_before(target, name)
        group = answer["ReplicationGroup"]
        tagged = Tagged(target.owner, want.tags)
        self._tags.wrote(_arn(group) or self._tags.arn(name), tagged)
        self._groups.put(name, group)
        return self._observed(target, Read(group, ()), tagged)

    def update(self, target: Target[ReplicationGroup], observed: Observed[ReplicationGroup], changes: Sequence[Change]) -> Observed[ReplicationGroup]:
        """Send the next request of those that are needed. ElastiCache takes one at a time; while more are to come, this waits."""
        want, have, read = target.want(), observed.value, _read(observed)
        status = read.group.get("Status", _AVAILABLE)
        if status != _AVAILABLE:
            state, reason, message = _STATES.get(status, _unknown(status))
            if state is State.FAILED:
                raise Terminal(reason, message)
            raise Waiting(reason, f"it is {status}, and takes changes when it is available again", _LOOK_AGAIN)
        tags = self._tags.change(observed.attributes["arn"], want.tags, Tagged(observed.owner, have.tags), changes)
        have = replace(have, tags=tags)
        step = next_step(self._with_fitting_parameters(want, have), have, read.group)
        if step is None:  # what is left can change only together with what may not change yet
            return replace(observed, value=have, left=frozenset(unreached(want, have)))
        group = self._take(observed.external_id, have, step)
        after = replace(have, **step.brings)
        changed = self._changed(target, observed, Read(group, read.clusters), after)
        return replace(changed, left=frozenset(unreached(want, after)))

    def delete(self, target: Target[ReplicationGroup], observed: Observed[ReplicationGroup]) -> Observed[ReplicationGroup] | None:
        """Ask for its removal, which takes minutes; its automatic snapshots go with it."""
        return self._delete(observed, {})

    def delete_with_snapshot(self, target: Target[ReplicationGroup], observed: Observed[ReplicationGroup], name: str) -> Observed[ReplicationGroup] | None:
        """ElastiCache makes the snapshot from the primary when nothing is written any more, and then removes the group."""
        return self._delete(observed, {"FinalSnapshotIdentifier": name})

    def snapshot(self, target: Target[ReplicationGroup], observed: Observed[ReplicationGroup], name: str) -> Saved:
        """Make it, with our owner tag, and with how far the replication was."""
        if (there := self._snapshots.read(name)) is None:
            if _read(observed).group.get("Status", _AVAILABLE) != _AVAILABLE:
                return Saved.UNDER_WAY  # it takes none now: what was written by then is asked for when it does
            tags = self._snapshots.tags(target.identity, target.owner, _read(observed).group)
            said = {"ReplicationGroupId": observed.external_id, "SnapshotName": name, "Tags": tags}
            answer = self._ask("create_snapshot", (*_BUSY, *_SNAPSHOT_EXISTS), **said)
            if isinstance(answer, Refusal):
                return Saved.UNDER_WAY
            there = answer["Snapshot"]
        if there.get("ReplicationGroupId") != observed.external_id:
            raise Terminal("SnapshotNameTaken", f"snapshot {name} is of {there.get('ReplicationGroupId') or 'another cache'}, not of {observed.external_id}")
        return saved(there)

    def saved_at(self, name: str) -> float | None:
        """Of the oldest of its shards."""
        return self._snapshots.saved_at(name)

    def discard(self, observed: Observed[ReplicationGroup], name: str) -> bool:
        """By its name."""
        return self._snapshots.discard(observed.external_id, name)

    def written_since(self, target: Target[ReplicationGroup], observed: Observed[ReplicationGroup], name: str) -> str:
        """By the nodes' replication offsets, where they can be reached from here, and by CloudWatch."""
        return self._snapshots.written_since(target.identity, _read(observed).group, name)

    def unrestorable(self, desired: ReplicationGroup, observed: Observed[ReplicationGroup]) -> Iterable[str]:
        """What ElastiCache's documentation says of snapshots."""
        return unrestorable(observed.value, desired)

    def adopt(self, target: Target[ReplicationGroup], observed: Observed[ReplicationGroup]) -> Observed[ReplicationGroup]:
        """Put our owner tag on it."""
        self._tags.adopt(observed.attributes["arn"], target.owner, observed.value.tags)
        return replace(observed, owner=target.owner)

    def locatable(self, target: Target[ReplicationGroup]) -> bool:
        """By its id, whatever else is wanted of it."""
        return bool(outside_name(target, NAME_LENGTH))

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner tag, as the tagging API knows it. Of two that carry one, the younger is the node, and the older what it replaced."""
        found: dict[str, str] = {}
        for node, name in self._tags.owned(identity).items():
            *older, youngest = by_age(self._tags.carrying(identity.owner(node))) or [name]
            found |= {node: youngest} | {f"{node}{RETIRED}{count_in(each)}": each for each in older}
        return found

    def _list_groups(self) -> dict[str, Mapping[str, Any]]:
        pages = self._aws.pages("elasticache", "describe_replication_groups", MaxRecords=100)
        return {group["ReplicationGroupId"]: group for page in pages for group in page.get("ReplicationGroups", [])}

    def _list_clusters(self) -> dict[str, tuple[Mapping[str, Any], ...]]:
        members: dict[str, list[Mapping[str, Any]]] = {}
        for page in self._aws.pages("elasticache", "describe_cache_clusters", MaxRecords=100, ShowCacheNodeInfo=False):
            for cluster in page.get("CacheClusters", []):
                members.setdefault(cluster.get("ReplicationGroupId") or "", []).append(cluster)
        return {name: tuple(sorted(clusters, key=lambda each: str(each["CacheClusterId"]))) for name, clusters in members.items() if name}

    def _fresh(self, target: Target[ReplicationGroup], name: str) -> Observed[ReplicationGroup] | None:
        if not name:
            return None
        read = self._by_id(name)
        if not target.external_id and not target.incarnation and (carrying := self._tags.carrying(target.owner)):
            # A status that was lost no longer tells that it was replaced; the owner tag still does, of the youngest last.
            read = next((found for each in reversed(by_age(carrying)) if (found := self._by_id(each))), read)
        if read is None:
            self._groups.drop(name)
            return None
        return self._observed(target, read, self._tags.fresh(_arn(read.group) or self._tags.arn(name)))

    def _by_id(self, name: str) -> Read | None:
        answer = self._aws.attempt("elasticache", "describe_replication_groups", _NOT_FOUND, ReplicationGroupId=name)
        group = None if isinstance(answer, Refusal) else next(iter(answer.get("ReplicationGroups", [])), None)
        if group is None:
            return None
        for member in sorted(group.get("MemberClusters") or ()):
            told = self._aws.attempt("elasticache", "describe_cache_clusters", ("CacheClusterNotFound",), CacheClusterId=member)
            if not isinstance(told, Refusal) and told.get("CacheClusters"):
                return Read(group, tuple(told["CacheClusters"]))
        return Read(group, ())

    def _made_before(self, target: Target[ReplicationGroup], name: str) -> Observed[ReplicationGroup]:
        found = self._fresh(target, name)
        if found is None:
            raise Transient("NotVisibleYet", f"replication group {name} exists, but cannot be read yet")
        if found.owner != target.owner:
            raise Terminal("NameTaken", f"replication group {name} exists and is not ours; remove it, or give this one another name")
        return found

    def _with_fitting_parameters(self, want: ReplicationGroup, have: ReplicationGroup) -> ReplicationGroup:
        """A parameter group of another family goes with the engine's change only, one with another `cluster-enabled` with the cluster mode's; while
        that one is held back, so is this."""
        if want.parameter_group == have.parameter_group or want.engine != have.engine or not engine_parts(have.engine)[1]:
            return want
        answer = self._aws.attempt(
            "elasticache", "describe_cache_parameter_groups", ("CacheParameterGroupNotFound",), CacheParameterGroupName=want.parameter_group
        )
        group = None if isinstance(answer, Refusal) else next(iter(answer.get("CacheParameterGroups", [])), None)
        fits = group is None or (
            group.get("CacheParameterGroupFamily") == parameter_family(have.engine)
            and (want.cluster_mode != have.cluster_mode or self._in_cluster_mode(want.parameter_group) == (have.cluster_mode != ClusterMode.DISABLED))
        )
        return want if fits else replace(want, parameter_group=have.parameter_group)

    def _in_cluster_mode(self, parameter_group: str) -> bool:
        pages = self._aws.pages("elasticache", "describe_cache_parameters", CacheParameterGroupName=parameter_group)
        values = (each.get("ParameterValue") for page in pages for each in page.get("Parameters", []) if each.get("ParameterName") == CLUSTER_PARAMETER)
        return next(values, "no") == "yes"

    def _take(self, name: str, have: ReplicationGroup, step: Step) -> Mapping[str, Any]:
        if "node_type" in step.brings:
            self._check_node_type(name, have.node_type, step.brings["node_type"])
        answer = self._ask(step.operation, (*_BUSY, *_NOTHING_TO_DO), ReplicationGroupId=name, ApplyImmediately=True, **step.params)
        if not isinstance(answer, Refusal):
            group: Mapping[str, Any] = answer["ReplicationGroup"]
            return group
        if answer.code in _NOTHING_TO_DO:
            raise Transient("ChangedMeanwhile", f"{step.fields}: {answer.message}")
        raise Waiting("Busy", f"{step.fields} waits until it is available: {answer.message}", _LOOK_AGAIN)

    def _check_node_type(self, name: str, have: str, want: str) -> None:
        answer = self._aws.call("elasticache", "list_allowed_node_type_modifications", ReplicationGroupId=name)
        up, down = answer.get("ScaleUpModifications", []), answer.get("ScaleDownModifications", [])
        if have in (*up, *down):  # no type is in its own list
            raise Transient("ChangedMeanwhile", f"{name} has another node type by now than was read")
        if want not in (*up, *down):
            allowed = ", ".join(sorted({*up, *down})) or "none"
            raise Terminal("NodeTypeNotAllowed", f"{have} cannot become {want} as it stands; ElastiCache allows: {allowed}")

    def _ask(self, operation: str, expect: Sequence[str], **params: Any) -> dict[str, Any] | Refusal:
        answer = self._aws.attempt("elasticache", operation, (*expect, *_SHORT, *_FULL), **params)
        if isinstance(answer, Refusal) and answer.code in _SHORT:
            raise Transient(answer.code, f"{answer.message} {_SHORT[answer.code]}")
        if isinstance(answer, Refusal) and answer.code in _FULL:
            raise Terminal(answer.code, f"{answer.message} {_FULL[answer.code]}")
        return answer

    def _delete(self, observed: Observed[ReplicationGroup], more: Mapping[str, str]) -> Observed[ReplicationGroup] | None:
        name = observed.external_id
        if (_read(observed).group if observed.raw else {}).get("Status") == "deleting":
            return observed
        answer = self._ask("delete_replication_group", (*_BUSY, *_NOT_FOUND, *_SNAPSHOT_EXISTS), ReplicationGroupId=name, RetainPrimaryCluster=False, **more)
        if not isinstance(answer, Refusal):
            state, reason, message = _STATES["deleting"]
            return replace(observed, state=state, reason=reason, message=message)
        if answer.code in _NOT_FOUND:
            self._groups.drop(name)
            return None
        if answer.code in _SNAPSHOT_EXISTS:
            raise Terminal("SnapshotNameTaken", f"{answer.message} Rename or remove that snapshot, so that the last state of {name} can be kept")
        return replace(observed, state=State.PENDING, reason="Busy", message=f"it is removed when it is available again: {answer.message}")

    def _observed(self, target: Target[ReplicationGroup], read: Read, tagged: Tagged) -> Observed[ReplicationGroup]:
        group, want = read.group, target.desired
        name = group["ReplicationGroupId"]
        value = replace(group_value(group, read.clusters, tagged.rest, want), name=told_name(name, target, NAME_LENGTH))
        status = group.get("Status") or _AVAILABLE
        state, reason, message = _STATES.get(status, _unknown(status))
        return Observed(
            name,
            value,
            state,
            reason,
            message or _remarks(read, want),
            owner=tagged.owner,
            attributes={"arn": self._tags.arn(name)} | group_attributes(group, read.clusters),
            raw=read,
            under_way=under_way(group, read.clusters, want, value) if want is not None else frozenset(),
            incarnation=incarnation_in(name, target, NAME_LENGTH),
        )

    def _changed(self, target: Target[ReplicationGroup], before: Observed[ReplicationGroup], read: Read, value: ReplicationGroup) -> Observed[ReplicationGroup]:
        """What a request made of it. The answers of ElastiCache's writes still show the old values (and the old members)."""
        observed = self._observed(target, read, Tagged(before.owner, value.tags))
        if observed.state is not State.READY:
            return replace(observed, value=value)
        return replace(observed, value=value, state=State.PENDING, reason="Modifying", message=_STATES["modifying"][2])


def _arn(group: Mapping[str, Any]) -> str:
    return group.get("ARN") or ""


def _read(observed: Observed[ReplicationGroup]) -> Read:
    return observed.raw if isinstance(observed.raw, Read) else Read({}, ())


def _unknown(status: str) -> tuple[State, str, str]:
    """A status that is newer than this table."""
    return State.PENDING, "".join(word.capitalize() for word in status.split("-")) or "Unknown", f"ElastiCache says {status or 'nothing'}"


def _remarks(read: Read, want: ReplicationGroup | None) -> str:
    failed = (each for each in read.group.get("LogDeliveryConfigurations") or () if each.get("Status") == "error")
    remarks = [f"{each['LogType']} is not delivered: {each.get('Message') or 'error'}" for each in failed]
    if waits_for_restart(read.clusters):
        # RebootCacheCluster, API reference: "The reboot causes the contents of the cache [...] to be lost". So it is left to people.
        remarks.append("changed parameters wait for a restart of its nodes, which empties a node: first the replicas, then a failover, then the old primary")
    if want is not None and not want.auto_minor_upgrade and moved_on(want.engine, running := running_version(read.clusters)):
        remarks.append(f"runs {running}, to which AWS upgraded it; ElastiCache downgrades nothing, so name that version")
    return "; ".join(remarks)
