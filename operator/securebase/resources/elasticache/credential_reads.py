"""What rotations read: secrets without their values, groups and users, in lists where many are asked for; and values, each version once."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.driver import Depth
from securebase.core.identity import OWNER_TAG
from securebase.resources.elasticache.group_config import Group
from securebase.resources.elasticache.rotation_record import CURRENT, PENDING, Access, Record
from securebase.resources.listing import Listing
from securebase.resources.secretsmanager.driver import Description, password_in

_NO_SECRET: Final = ("ResourceNotFoundException",)
_NO_GROUP: Final = ("ReplicationGroupNotFoundFault", "ReplicationGroupNotFound")
_NO_USER: Final = ("UserNotFound", "UserNotFoundFault")
_USABLE: Final = re.compile(r"[A-Za-z0-9!&#$^<>-]{16,128}")
"""What ElastiCache takes as a token (CreateReplicationGroup, AuthToken); a password is 16 to 128 characters too."""


@dataclass(frozen=True, slots=True)
class Value:
    """One version of a secret. `password` is "" where it holds none that a cache would take; `created` is in Unix seconds."""

    text: str = field(repr=False)
    password: str = field(repr=False)
    created: float


@dataclass(frozen=True, slots=True)
class Sight:
    """One secret and what it opens, as just read."""

    secret: Description
    group: Group
    user: Mapping[str, Any] | None = None

    @property
    def record(self) -> Record:
        labels = {name: version for version, names in self.secret.stages.items() for name in names if name in (CURRENT, PENDING)}
        return Record(labels, self.secret.tags)

    @property
    def access(self) -> Access:
        """While a group is being made, it tells neither its token's date nor its endpoints."""
        name, status = self.group["ReplicationGroupId"], self.group.get("Status") or "available"
        if self.user is not None:
            state, authentication = self.user.get("Status", "active"), self.user.get("Authentication") or {}
            count = int(authentication.get("PasswordCount") or 0)
            let_in = bool(self.group.get("UserGroupIds"))  # while it still is on a token, what users have opens nothing
            told = state if let_in else "not open to users yet"
            return Access(name, self.user["UserId"], state == "active" and status != "creating" and let_in, told, bool(count), passwords=count)
        changed, made = self.group.get("AuthTokenLastModifiedDate"), self.group.get("ReplicationGroupCreateTime")
        pending = (self.group.get("PendingModifiedValues") or {}).get("AuthTokenStatus") or ""
        free = not self.group.get("UserGroupIds")
        since = changed or made
        return Access(
            group=name,
            ready=status == "available" and not pending and free,
            status=pending.lower() or (status if free else "still open to users of a group"),
            enabled=bool(self.group.get("AuthTokenEnabled")),
            modified=changed.isoformat() if changed else "",
            since=since.timestamp() if since else 0.0,
        )


class Reader:
    """Of one account and region. Thread-safe."""

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._secrets: Listing[str, Description] = Listing(self._list_secrets, clock)
        self._groups: Listing[str, Group] = Listing(self._list_groups, clock)
        self._users: Listing[str, Mapping[str, Any]] = Listing(self._list_users, clock)
        self._known: dict[str, Description] = {}
        self._values: dict[str, dict[str, Value]] = {}

    def sight(self, secret: str, group: str, user: str, depth: Depth, begun: float) -> Sight | None:
        """None when one of them does not exist. SWEEP takes lists read since `begun` (listing age in seconds), and by id what they lack."""
        described = self._secret(secret, depth, begun)
        opens = self._one(self._groups, group, depth, begun, self._group)
        if described is None or described.deleted or opens is None:
            return None
        if not user:
            return Sight(described, opens)
        found = self._one(self._users, user, depth, begun, self._user)
        return None if found is None else Sight(described, opens, found)

    def forget(self, secret: str) -> None:
        """We wrote it: lists may not know for minutes (ListSecrets)."""
        self._known.pop(secret, None)

    def value(self, there: Description, version: str) -> Value | None:
        """A version's value, read once for as long as it has a label; None when there is none (any more)."""
        kept = {name: value for name, value in self._values.get(there.arn, {}).items() if name in there.stages}
        if version not in kept:
            answer = self._aws.attempt("secretsmanager", "get_secret_value", _NO_SECRET, SecretId=there.arn, VersionId=version)
            if isinstance(answer, Refusal):
                return None
            text, created = answer.get("SecretString") or "", answer.get("CreatedDate")
            password = self._aws.learn(password_in(text))
            kept[version] = Value(text, password if _USABLE.fullmatch(password) else "", created.timestamp() if created else 0.0)
        self._values[there.arn] = kept
        return kept[version]

    def read(self, there: Description, version: str) -> Value | None:
        """A version's value if it was read before."""
        return self._values.get(there.arn, {}).get(version)

    def _secret(self, arn: str, depth: Depth, begun: float) -> Description | None:
        known = self._known.get(arn)
        if depth is Depth.SWEEP and known is not None and (listed := self._secrets.get(begun).get(arn)) is not None and known.agrees(listed):
            return known
        answer = self._aws.attempt("secretsmanager", "describe_secret", _NO_SECRET, SecretId=arn)
        if isinstance(answer, Refusal):
            self.forget(arn)
            return None
        found = self._known[arn] = Description.of(answer)
        return found

    def _one(
        self, listing: Listing[str, Mapping[str, Any]], name: str, depth: Depth, begun: float, by_id: Callable[[str], Mapping[str, Any] | None]
    ) -> Mapping[str, Any] | None:
        listed = listing.get(begun).get(name) if depth is Depth.SWEEP else None
        return listed or by_id(name)

    def _group(self, name: str) -> Group | None:
        answer = self._aws.attempt("elasticache", "describe_replication_groups", _NO_GROUP, ReplicationGroupId=name)
        return None if isinstance(answer, Refusal) else next(iter(answer.get("ReplicationGroups", [])), None)

    def _user(self, name: str) -> Mapping[str, Any] | None:
        answer = self._aws.attempt("elasticache", "describe_users", _NO_USER, UserId=name)
        return None if isinstance(answer, Refusal) else next(iter(answer.get("Users", [])), None)

    def _list_secrets(self) -> dict[str, Description]:
        pages = self._aws.pages("secretsmanager", "list_secrets", MaxResults=100, Filters=[{"Key": "tag-key", "Values": [OWNER_TAG]}])
        found = (Description.of(entry) for page in pages for entry in page.get("SecretList", []))
        return {each.arn: each for each in found}

    def _list_groups(self) -> dict[str, Group]:
        pages = self._aws.pages("elasticache", "describe_replication_groups", MaxRecords=100)
        return {group["ReplicationGroupId"]: group for page in pages for group in page.get("ReplicationGroups", [])}

    def _list_users(self) -> dict[str, Mapping[str, Any]]:
        pages = self._aws.pages("elasticache", "describe_users", MaxRecords=100)
        return {user["UserId"]: user for page in pages for user in page.get("Users", [])}


def with_password(text: str, password: str) -> str:
    """A secret's value with another password; what else it holds stays."""
    try:
        document = json.loads(text)
    except ValueError:
        document = {}
    return json.dumps({**(document if isinstance(document, dict) else {}), "password": password})
