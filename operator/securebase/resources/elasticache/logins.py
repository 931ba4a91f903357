"""Looks at how caches let clients in, and notes when they were told another way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, Terminal
from securebase.resources.elasticache.login_model import MOVED, LoginMove, Logins, LoginState, Stage, moved, stage
from securebase.resources.elasticache.rotation_record import CURRENT, INTENT, PENDING, Record, stamp_of
from securebase.resources.elasticache.user_model import is_off
from securebase.resources.secretsmanager.driver import Description
from securebase.resources.tagging import tag_list, unresolved

_NO_SECRET: Final = ("ResourceNotFoundException",)
_NO_GROUP: Final = ("UserGroupNotFound", "UserGroupNotFoundFault")
RECENT_SECONDS: Final = 5.0
"""How old a look may be for a pass: it looks twice, once to compose and once to tell how things stand."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen, and the users that the cache is open to."""

    at: float
    logins: Logins
    users: Mapping[str, str] = field(default_factory=dict)


class LoginStateDriver:
    """`elasticache/login-state`, EXTERNAL. External id: `<user group>/<secret>`. Always answered.

    A way to log in changes because a spec does, which is a pass: a sweep looks again only at caches that are on their way.
    """

    type: ClassVar[str] = "elasticache/login-state"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._looks: dict[str, _Look] = {}

    def observe(self, targets: Sequence[Target[LoginState]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: group and secret by name. SWEEP: the same for those who move, else as seen last."""
        answers: dict[Key, Answer] = {}
        for target in targets:
            try:
                answers[target.key] = self._answer(target, depth)
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def create(self, target: Target[LoginState], token: str) -> Observed[LoginState]:
        """Never: there is nothing to make."""
        raise Terminal("NotOurs", "how clients log in is looked at, not made")

    def update(self, target: Target[LoginState], observed: Observed[LoginState], changes: Sequence[Change]) -> Observed[LoginState]:
        """Never: there is nothing to change."""
        raise Terminal("NotOurs", "how clients log in is looked at, not changed")

    def delete(self, target: Target[LoginState], observed: Observed[LoginState]) -> None:
        """Nothing."""

    def _answer(self, target: Target[LoginState], depth: Depth) -> Observed[LoginState] | None:
        want = target.desired
        if want is None:
            return None
        key = f"{want.user_group}/{want.secret}"
        look, now = self._looks.get(key), self._clock()
        if look is None or (now - look.at > RECENT_SECONDS and (depth is Depth.FRESH or stage(want, look.logins, now).value != want.way)):
            look = self._looks[key] = self._look(want)
        return self._observed(want, key, look)

    def _look(self, want: LoginState) -> _Look:
        """Users are told by name only where they are to stay as they are for a while: elsewhere the spec says who they are."""
        secret, group = self._secret(want.secret), self._group(want.user_group)
        on_users = bool(group.get("ReplicationGroups"))
        if secret is None or secret.deleted:
            logins = Logins(on_users=on_users)
        else:
            labels = {name: version for version, names in secret.stages.items() for name in names if name in (CURRENT, PENDING)}
            record = Record(labels, secret.tags)
            settled = not record.in_force or (record.alone and not secret.tags.get(INTENT))
            logins = Logins(True, on_users, settled, secret.tags.get(MOVED, ""))
        told = stage(want, logins, self._clock()) is Stage.TO_TOKEN
        return _Look(self._clock(), logins, self._users(group) if told else {})

    def _secret(self, name: str) -> Description | None:
        answer = self._aws.attempt("secretsmanager", "describe_secret", _NO_SECRET, SecretId=name)
        return None if isinstance(answer, Refusal) else Description.of(answer)

    def _group(self, name: str) -> Mapping[str, Any]:
        answer = self._aws.attempt("elasticache", "describe_user_groups", _NO_GROUP, UserGroupId=name.lower())
        return {} if isinstance(answer, Refusal) else next(iter(answer.get("UserGroups", [])), {})

    def _users(self, group: Mapping[str, Any]) -> dict[str, str]:
        """Who can log in: a user that is off is nobody."""
        ids = sorted(group.get("UserIds") or ())
        pages = self._aws.pages("elasticache", "describe_users", MaxRecords=100, Filters=[{"Name": "user-id", "Values": ids}]) if ids else ()
        found = {str(user["UserName"]): str(user.get("AccessString", "")) for page in pages for user in page.get("Users", []) if user["UserId"] in ids}
        return {name: said for name, said in sorted(found.items()) if not is_off(said)}

    def _observed(self, want: LoginState, key: str, look: _Look) -> Observed[LoginState]:
        now, at = self._clock(), stage(want, look.logins, self._clock())
        attributes = {"stage": at.value} | ({"users": json.dumps(look.users)} if at is Stage.TO_TOKEN else {})
        ends = look.logins.grace_ends(want) if at in (Stage.TO_TOKEN, Stage.TO_USERS) else None
        if ends is None:
            return Observed(key, want, message=_words(want, at), attributes=attributes)
        told = f"{_words(want, at)} until {stamp_of(ends)}"
        return Observed(key, want, message=told, attributes=attributes | {"graceEndsAt": stamp_of(ends)}, again_at=max(ends, now + 1.0))


def _words(want: LoginState, at: Stage) -> str:
    match at:
        case Stage.TO_USERS:
            return "clients with the token are still let in"
        case Stage.TO_TOKEN:
            return "users are still let in"
        case Stage.TOKEN if want.way != at:
            return "it moves to users when the rotation of the token under way has ended"
        case _:
            return ""


class LoginMoveDriver:
    """`elasticache/login-move`. External id: the secret's ARN. It stays noted when it is let go: nobody begins the same move anew in between."""

    type: ClassVar[str] = "elasticache/login-move"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock

    def observe(self, targets: Sequence[Target[LoginMove]], depth: Depth) -> Mapping[Key, Answer]:
        """The secret, by its ARN; few caches move at once."""
        answers: dict[Key, Answer] = {}
        for target in targets:
            try:
                answers[target.key] = self._answer(target)
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def create(self, target: Target[LoginMove], token: str) -> Observed[LoginMove]:
        """From now on."""
        return self._note(target)

    def update(self, target: Target[LoginMove], observed: Observed[LoginMove], changes: Sequence[Change]) -> Observed[LoginMove]:
        """The other way, from now on."""
        return self._note(target)

    def delete(self, target: Target[LoginMove], observed: Observed[LoginMove]) -> None:
        """Nothing: what was told was told."""

    def locatable(self, target: Target[LoginMove]) -> bool:
        """On its secret, whichever way it went."""
        return not unresolved(_arn(target))

    def _answer(self, target: Target[LoginMove]) -> Observed[LoginMove] | None:
        arn = _arn(target)
        if unresolved(arn):
            return None
        answer = self._aws.attempt("secretsmanager", "describe_secret", _NO_SECRET, SecretId=arn)
        noted = "" if isinstance(answer, Refusal) else Description.of(answer).tags.get(MOVED, "")
        return _noted(target, arn, noted) if noted else None

    def _note(self, target: Target[LoginMove]) -> Observed[LoginMove]:
        want, noted = target.want(), moved(target.want().to, self._clock())
        self._aws.call("secretsmanager", "tag_resource", SecretId=want.secret, Tags=tag_list({MOVED: noted}))
        return _noted(target, want.secret, noted)


def _arn(target: Target[LoginMove]) -> str:
    return target.external_id or (target.desired.secret if target.desired is not None else "")


def _noted(target: Target[LoginMove], arn: str, noted: str) -> Observed[LoginMove]:
    to, _, since = noted.partition("/")
    return Observed(arn, LoginMove(arn, to), owner=target.owner, attributes={"since": since}, about=arn)
