"""Tags of ElastiCache's resources, which AWS reads and writes only while a resource is `available`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.errors import Waiting
from securebase.core.identity import OWNER_TAG, Identity
from securebase.resources.listing import STORM_SECONDS, Read
from securebase.resources.tagging import SweptTags, Tagged, TagIndex, owned_nodes, tag_list, tags_to_put, tags_to_remove

_BUSY: Final = (
    "InvalidReplicationGroupState", "InvalidReplicationGroupStateFault", "InvalidCacheClusterState",
    "InvalidCacheParameterGroupState", "InvalidUserState", "InvalidUserGroupState",
)  # fmt: skip
_GONE: Final = (
    "ReplicationGroupNotFoundFault", "CacheParameterGroupNotFound", "CacheSubnetGroupNotFoundFault", "CacheSubnetGroupNotFound",
    "CacheClusterNotFound", "UserNotFound", "UserGroupNotFound", "SnapshotNotFoundFault", "InvalidARN",
)  # fmt: skip


class CacheTags:
    """Tags of one ElastiCache type. `kind` as it stands in its ARNs: replicationgroup, parametergroup, subnetgroup, user, usergroup."""

    def __init__(self, aws: AwsScope, clock: Callable[[], float], kind: str) -> None:
        self._aws = aws
        self._kind = kind
        self._index = TagIndex(aws, clock, f"elasticache:{kind}")
        self._swept = SweptTags(self._index, self._read, clock)

    def arn(self, name: str) -> str:
        """ARN of a resource of this type."""
        return f"arn:{self._aws.partition}:elasticache:{self._aws.region}:{self._aws.account_id}:{self._kind}:{name}"

    def fresh(self, arn: str) -> Tagged:
        """Read now."""
        return self._swept.fresh(arn)

    def sweep(self, arns: Sequence[str]) -> Mapping[str, Read[Tagged]]:
        """Of many, a few of them read again."""
        return self._swept.sweep(arns)

    def wrote(self, arn: str, tagged: Tagged) -> None:
        """We put these tags there."""
        self._swept.wrote(arn, tagged)

    def owned(self, identity: Identity) -> dict[str, str]:
        """Node id -> name of what belongs to an identity."""
        return {node: arn.rpartition(":")[2] for node, arn in owned_nodes(self._index.owners(STORM_SECONDS), identity).items()}

    def carrying(self, owner: str) -> list[str]:
        """Names of what carries an owner tag, in order; of a resource and its successor both do."""
        return sorted(arn.rpartition(":")[2] for arn, carried in self._index.owners(STORM_SECONDS).items() if carried == owner)

    def change(self, arn: str, want: Mapping[str, str], have: Tagged, changes: Sequence[Change]) -> dict[str, str]:
        """Bring the tags to what is wanted; others' stay. All tags but the owner's, afterwards."""
        put, gone = tags_to_put(want, have.rest), tags_to_remove(changes, want)
        if put:
            self._write("add_tags_to_resource", arn, Tags=tag_list(put))
        if gone:
            self._write("remove_tags_from_resource", arn, TagKeys=gone)
        tags = {key: value for key, value in {**have.rest, **put}.items() if key not in gone}
        if put or gone:
            self.wrote(arn, Tagged(have.owner, tags))
        return tags

    def adopt(self, arn: str, owner: str, rest: Mapping[str, str]) -> None:
        """Put our owner tag on it."""
        self._write("add_tags_to_resource", arn, Tags=tag_list({OWNER_TAG: owner}))
        self.wrote(arn, Tagged(owner, rest))

    def _write(self, operation: str, arn: str, **params: Any) -> None:
        answer = self._aws.attempt("elasticache", operation, (*_BUSY, "TagNotFound"), ResourceName=arn, **params)
        if isinstance(answer, Refusal) and answer.code in _BUSY:
            raise Waiting("Busy", f"ElastiCache takes tags when it is available again: {answer.message}")

    def _read(self, arn: str) -> Tagged:
        answer = self._aws.attempt("elasticache", "list_tags_for_resource", (*_BUSY, *_GONE), ResourceName=arn)
        if not isinstance(answer, Refusal):
            return Tagged.of_list(answer.get("TagList", []))
        return self._read_elsewhere(arn) if answer.code in _BUSY else Tagged("", {})

    def _read_elsewhere(self, arn: str) -> Tagged:
        """ "If the cluster is not in the available state, ListTagsForResource returns an error" (its API reference); the tagging API answers all the same."""
        pages = self._aws.pages("resourcegroupstaggingapi", "get_resources", ResourceARNList=[arn])
        found = [entry for page in pages for entry in page["ResourceTagMappingList"] if entry["ResourceARN"] == arn]
        if not found:
            raise Waiting("TagsNotReadable", "ElastiCache tells the tags when it is available again; whose it is cannot be told until then")
        return Tagged.of_list(found[0].get("Tags", []))
