"""Keeps users of caches and their groups: read from lists, changed only while AWS is not busy with them."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Generic, TypeVar

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target, incarnated_name
from securebase.core.errors import ReconcileError, Terminal, Transient, Waiting
from securebase.core.fields import SecretValue
from securebase.core.identity import Identity
from securebase.resources.elasticache.tags import CacheTags
from securebase.resources.elasticache.user_model import ID_LENGTH, User, UserGroup, access, is_off
from securebase.resources.listing import Listing
from securebase.resources.tagging import Tagged, tag_list, tag_map, unresolved

D = TypeVar("D", bound=User | UserGroup)

PASSWORD_VERSION: Final = "securebase.io/password-version"
"""Tag of a user: the version of the password that it was given last, where that is kept here."""

_ACTIVE: Final = "active"
_GROUP_WORDS: Final = {
    "DefaultUserRequired": "a user group of engine redis needs a user with the name default",
    "DuplicateUserName": "two users of the group have the same name",
}
_MEMBERS_WAIT: Final = ("InvalidUserState", "UserNotFound")
_IN_USE: Final = ("DefaultUserAssociatedToUserGroup",)


@dataclass(frozen=True, slots=True)
class _Api:
    """How ElastiCache names one of the two types: in ARNs, operations, answers, parameters and errors."""

    kind: str
    noun: str
    lists: str
    word: str

    @property
    def id(self) -> str:
        return f"{self.word}Id"

    @property
    def gone(self) -> tuple[str, ...]:
        return (f"{self.word}NotFound",)

    @property
    def exists(self) -> str:
        return f"{self.word}AlreadyExists"

    @property
    def busy(self) -> str:
        return f"Invalid{self.word}State"


class _AccessDriver(ABC, Generic[D]):
    """What users and groups have in common. External id: the id. A list of all tells everything but the tags."""

    API: ClassVar[_Api]

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._listing: Listing[str, Mapping[str, Any]] = Listing(self._list, clock)
        self._tags = CacheTags(aws, clock, self.API.kind)

    def observe(self, targets: Sequence[Target[D]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: by id. SWEEP: from one list; what it does not have is read by id."""
        names = {target.key: self._name(target) for target in targets}
        listed = self._listing.get() if depth is Depth.SWEEP else {}
        swept = self._tags.sweep([listed[name]["ARN"] for name in sorted(set(names.values())) if name in listed]) if listed else {}
        answers: dict[Key, Answer] = {}
        for target in targets:
            name = names[target.key]
            tagged = swept.get(listed[name]["ARN"]) if name in listed else None
            try:
                if tagged is None:
                    answers[target.key] = self._fresh(target, name)
                else:
                    answers[target.key] = replace(self._observed(target, listed[name], tagged.value), checked_at=tagged.at)
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def create(self, target: Target[D], token: str) -> Observed[D]:
        """Make it with its tags; the id makes it repeatable."""
        want, name = target.want(), self._name(target)
        tags = tag_list(tag_map(target.owner, self._noted_tags(want)))
        answer = self._attempt(f"create_{self.API.noun}", (self.API.exists,), name, Engine=want.engine, Tags=tags, **self._creation(want))
        if isinstance(answer, Refusal):
            return self._made_before(target, name)
        tagged = Tagged(target.owner, self._noted_tags(want))
        self._tags.wrote(answer["ARN"], tagged)
        self._listing.put(name, answer)
        return self._observed(target, answer, tagged)

    def update(self, target: Target[D], observed: Observed[D], changes: Sequence[Change]) -> Observed[D]:
        """One call for all but the tags. AWS is then busy with it for a while."""
        want, entry = target.want(), observed.raw
        if told := self._modification(want, observed.value, entry):
            answer = self._attempt(f"modify_{self.API.noun}", (), observed.external_id, **told)
            entry = entry if isinstance(answer, Refusal) else answer
        tags = self._tags.change(observed.attributes["arn"], self._noted_tags(want), Tagged(observed.owner, observed.value.tags), changes)
        written = self._observed(target, entry, Tagged(observed.owner, tags))
        return replace(written, value=replace(want, tags=tags))

    def delete(self, target: Target[D], observed: Observed[D]) -> Observed[D] | None:
        """Refused while it is in use or AWS is busy with it; else gone when AWS says so."""
        if used := self._used_by(observed.raw or {}):
            return replace(observed, state=State.PENDING, reason="InUse", message=used)
        name = observed.external_id
        answer = self._aws.attempt("elasticache", f"delete_{self.API.noun}", (*self.API.gone, self.API.busy, *_IN_USE), **{self.API.id: name})
        if isinstance(answer, Refusal) and answer.code not in self.API.gone:
            reason = "InUse" if answer.code in _IN_USE else "Busy"
            return replace(observed, state=State.PENDING, reason=reason, message=answer.message)
        if isinstance(answer, Refusal):
            self._listing.drop(name)
            return None
        return replace(observed, state=State.PENDING, reason="Deleting", message="ElastiCache is removing it")

    def adopt(self, target: Target[D], observed: Observed[D]) -> Observed[D]:
        """Put our owner tag on it."""
        self._tags.adopt(observed.attributes["arn"], target.owner, observed.value.tags)
        return replace(observed, owner=target.owner)

    def locatable(self, target: Target[D]) -> bool:
        """By its id, whatever else it is to have."""
        return bool(self._name(target))

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner tag, as the tagging API knows it."""
        return self._tags.owned(identity)

    @abstractmethod
    def _wanted_id(self, want: D) -> str:
        """The id as the model has it."""

    @abstractmethod
    def _creation(self, want: D) -> dict[str, Any]:
        """Parameters of the creation besides id, engine and tags."""

    @abstractmethod
    def _modification(self, want: D, have: D, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of a modification; {} when none is needed."""

    @abstractmethod
    def _value(self, entry: Mapping[str, Any], name: str, tags: Mapping[str, str], want: D | None) -> D:
        """The model of what AWS tells, in the wanted spelling where it means the same."""

    def _noted_tags(self, want: D) -> Mapping[str, str]:
        """The wanted tags, and those by which something is remembered."""
        return want.tags

    @abstractmethod
    def _attributes(self, entry: Mapping[str, Any]) -> dict[str, str]:
        """Attributes besides `id`, `arn` and `status`."""

    @abstractmethod
    def _used_by(self, entry: Mapping[str, Any]) -> str:
        """Who keeps it from going, in words; "" = nobody."""

    def _name(self, target: Target[D]) -> str:
        """The id to look for, as AWS keeps it; "" while it is not known."""
        if target.external_id or target.desired is None:
            return target.external_id
        wanted = self._wanted_id(target.desired)
        return "" if unresolved(wanted) else incarnated_name(wanted.lower(), target, ID_LENGTH)

    def _list(self) -> dict[str, Mapping[str, Any]]:
        pages = self._aws.pages("elasticache", f"describe_{self.API.noun}s", MaxRecords=100)
        return {entry[self.API.id]: entry for page in pages for entry in page.get(self.API.lists, [])}

    def _fresh(self, target: Target[D], name: str) -> Observed[D] | None:
        if not name:
            return None
        answer = self._aws.attempt("elasticache", f"describe_{self.API.noun}s", self.API.gone, **{self.API.id: name})
        entry = None if isinstance(answer, Refusal) else next(iter(answer.get(self.API.lists, [])), None)
        if entry is None:
            self._listing.drop(name)
            return None
        return self._observed(target, entry, self._tags.fresh(entry["ARN"]))

    def _made_before(self, target: Target[D], name: str) -> Observed[D]:
        found = self._fresh(target, name)
        if found is None:
            raise Transient("NotVisibleYet", f"{self.API.kind} {name} exists, but cannot be read yet")
        if found.owner != target.owner:
            raise Terminal("NameTaken", f"{self.API.kind} {name} exists and is not ours; remove it, or give this one another id")
        return found

    def _attempt(self, operation: str, expect: Sequence[str], name: str, **params: Any) -> dict[str, Any] | Refusal:
        """A write; what AWS refuses because it is busy, or because a user is not there yet, is waited for."""
        waits = (self.API.busy, *_MEMBERS_WAIT)
        answer = self._aws.attempt("elasticache", operation, (*expect, *waits, *_GROUP_WORDS), **{self.API.id: name}, **params)
        if isinstance(answer, Refusal) and answer.code in _GROUP_WORDS:
            raise Terminal(answer.code, f"{_GROUP_WORDS[answer.code]}: {answer.message}")
        if isinstance(answer, Refusal) and answer.code in waits:
            raise Waiting(answer.code, answer.message)
        return answer

    def _observed(self, target: Target[D], entry: Mapping[str, Any], tagged: Tagged) -> Observed[D]:
        name, want = entry[self.API.id], target.desired
        same = want is not None and name == incarnated_name(self._wanted_id(want).lower(), target, ID_LENGTH)
        value = self._value(entry, self._wanted_id(want) if want is not None and same else name, tagged.rest, want)
        status = entry.get("Status", _ACTIVE)
        attributes = {"id": name, "arn": entry["ARN"], "status": status} | self._attributes(entry)
        ready = status == _ACTIVE
        return Observed(
            name,
            value,
            State.READY if ready else State.PENDING,
            "" if ready else status.capitalize(),
            "" if ready else f"ElastiCache is {status} it",
            tagged.owner,
            attributes=attributes,
            about=min(entry.get("UserGroupIds") or (name,)),
            raw=entry,
        )


class UserDriver(_AccessDriver[User]):
    """`elasticache/user`."""

    type: ClassVar[str] = "elasticache/user"
    API: ClassVar[_Api] = _Api("user", "user", "Users", "User")

    def _wanted_id(self, want: User) -> str:
        return want.user_id

    def _creation(self, want: User) -> dict[str, Any]:
        return {"UserName": want.user_name, "AccessString": want.access_string, "AuthenticationMode": authentication_mode(want)}

    def _modification(self, want: User, have: User, entry: Mapping[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if want.access_string != have.access_string:
            told["AccessString"] = want.access_string
        if want.engine != have.engine:
            told["Engine"] = want.engine
        # Whoever is switched on needs a password that somebody knows, and who is switched off shall have none of those.
        switched = is_off(want.access_string) != is_off(have.access_string)
        if want.authentication != have.authentication or switched or want.password_version != have.password_version:
            told["AuthenticationMode"] = authentication_mode(want)
        return told

    def _value(self, entry: Mapping[str, Any], name: str, tags: Mapping[str, str], want: User | None) -> User:
        said = entry.get("AccessString", "")
        return User(
            user_id=name,
            user_name=entry.get("UserName", ""),
            engine=entry.get("Engine", "").lower(),
            tags=tags,
            access_string=want.access_string if want is not None and access(want.access_string) == access(said) else said,
            passwords=want.passwords if want is not None else (),
            authentication=(entry.get("Authentication") or {}).get("Type", ""),
            password_version=tags.get(PASSWORD_VERSION, "") if want is not None and want.password_version else "",
        )

    def _noted_tags(self, want: User) -> Mapping[str, str]:
        return {**want.tags, PASSWORD_VERSION: want.password_version} if want.password_version else want.tags

    def _attributes(self, entry: Mapping[str, Any]) -> dict[str, str]:
        return {"name": entry.get("UserName", ""), "passwordCount": str((entry.get("Authentication") or {}).get("PasswordCount", 0))}

    def _used_by(self, entry: Mapping[str, Any]) -> str:
        # DeleteUser takes a user out of every group it is in, and out of the caches behind them (its API reference).
        groups = entry.get("UserGroupIds") or []
        return f"still in user group {', '.join(sorted(groups))}" if groups else ""


class UserGroupDriver(_AccessDriver[UserGroup]):
    """`elasticache/user-group`."""

    type: ClassVar[str] = "elasticache/user-group"
    API: ClassVar[_Api] = _Api("usergroup", "user_group", "UserGroups", "UserGroup")

    def _wanted_id(self, want: UserGroup) -> str:
        return want.group_id

    def _creation(self, want: UserGroup) -> dict[str, Any]:
        return {"UserIds": sorted(want.user_ids)}

    def _modification(self, want: UserGroup, have: UserGroup, entry: Mapping[str, Any]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if added := sorted(want.user_ids - have.user_ids):
            told["UserIdsToAdd"] = added
        if removed := sorted(have.user_ids - want.user_ids):
            told["UserIdsToRemove"] = removed
        if want.engine != have.engine:
            told["Engine"] = want.engine
        return told

    def _value(self, entry: Mapping[str, Any], name: str, tags: Mapping[str, str], want: UserGroup | None) -> UserGroup:
        """With the changes that AWS says are under way, so that nobody asks for them again."""
        pending = entry.get("PendingChanges") or {}
        users = frozenset(entry.get("UserIds") or ()) | frozenset(pending.get("UserIdsToAdd") or ())
        return UserGroup(name, entry.get("Engine", "").lower(), tags, users - frozenset(pending.get("UserIdsToRemove") or ()))

    def _attributes(self, entry: Mapping[str, Any]) -> dict[str, str]:
        return {}

    def _used_by(self, entry: Mapping[str, Any]) -> str:
        caches = entry.get("ReplicationGroups") or []
        return f"still used by {', '.join(sorted(caches))}" if caches else ""


def authentication_mode(want: User) -> dict[str, Any]:
    """How the user proves who it is. Whoever is off gets a password that is kept nowhere."""
    if want.authentication != "password":
        return {"Type": want.authentication}
    known = [password.value for password in want.passwords if isinstance(password, SecretValue)]
    if not known and not is_off(want.access_string):
        raise Terminal("NoPassword", f"user {want.user_name} could log in without a password")
    return {"Type": "password", "Passwords": known or [secrets.token_hex(64)]}
