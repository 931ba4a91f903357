"""Looks at how caches let clients in, and notes when they were told another way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, Terminal, Transient
from securebase.resources.elasticache.login_model import MOVED, LoginMove, Logins, LoginState, Move, Stage, stage
from securebase.resources.elasticache.names import is_made_as
from securebase.resources.elasticache.rotation_record import CURRENT, INTENT, PENDING, Record, stamp_of
from securebase.resources.elasticache.user_model import ID_LENGTH, is_off
from securebase.resources.secretsmanager.driver import Description
from securebase.resources.tagging import tag_list, unresolved

_NO_SECRET: Final = ("ResourceNotFoundException",)
_NO_USER: Final = ("UserNotFound", "UserNotFoundFault")
RECENT_SECONDS: Final = 5.0
"""How old a look may be for a pass: it looks twice, once to compose and once to tell how things stand."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen for a wish, and the users that the cache is open to."""

    at: float
    want: LoginState
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
        """FRESH: groups and the secret. SWEEP: the same for those who move, else as seen last."""
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
        known = look is not None and look.want == want
        rests = depth is Depth.SWEEP and look is not None and stage(want, look.logins, now).value == want.way
        if look is None or not known or (now - look.at > RECENT_SECONDS and not rests):
            look = self._looks[key] = self._look(target, want)
        return self._observed(want, key, look)

    def _look(self, target: Target[LoginState], want: LoginState) -> _Look:
        """Users are told by name only where they are to stay as they are for a while: elsewhere the spec says who they are."""
        secret, group = self._secret(want.secret), self._group(target, want)
        on_users = bool(group)
        if secret is None or secret.retired:
            logins = Logins(on_users=on_users)
        else:
            labels = {name: version for version, names in secret.stages.items() for name in names if name in (CURRENT, PENDING)}
            record = Record(labels, secret.tags)
            settled = not record.in_force or (record.alone and record.current == record.in_force and not secret.tags.get(INTENT))
            logins = Logins(True, on_users, settled, Move.of(secret.tags.get(MOVED, "")))
        told = stage(want, logins, self._clock()) is Stage.TO_TOKEN
        return _Look(self._clock(), want, logins, self._users(group) if told else {})

    def _secret(self, name: str) -> Description | None:
        answer = self._aws.attempt("secretsmanager", "describe_secret", _NO_SECRET, SecretId=name)
        return None if isinstance(answer, Refusal) else Description.of(answer)

    def _group(self, target: Target[LoginState], want: LoginState) -> Mapping[str, Any]:
        """The cache's user group that a cache is open to; {} where there is none. A successor of it has another id."""
        pages = self._aws.pages("elasticache", "describe_user_groups", MaxRecords=100)
        used = (group for page in pages for group in page.get("UserGroups", []) if group.get("ReplicationGroups"))
        return next((group for group in used if is_made_as(group["UserGroupId"], want.user_group.lower(), target, ID_LENGTH)), {})

    def _users(self, group: Mapping[str, Any]) -> dict[str, str]:
        """Who can log in: a user that is off is nobody. All of them or none: who is not told here would be shut out."""
        found: dict[str, str] = {}
        for id in sorted(group.get("UserIds") or ()):
            answer = self._aws.attempt("elasticache", "describe_users", _NO_USER, UserId=id)
            user = None if isinstance(answer, Refusal) else next(iter(answer.get("Users", [])), None)
            if user is None:
                raise Transient("NotVisibleYet", f"user {id} is in the cache's user group and cannot be seen")
            found[str(user["UserName"])] = str(user.get("AccessString", ""))
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
        """Begun, or told from now on."""
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
        move = self._noted(arn)
        told = target.desired is not None and target.desired.told
        return _observed(target, arn, move) if move.to and (move.since or not told) else None

    def _noted(self, arn: str) -> Move:
        answer = self._aws.attempt("secretsmanager", "describe_secret", _NO_SECRET, SecretId=arn)
        return Move() if isinstance(answer, Refusal) else Move.of(Description.of(answer).tags.get(MOVED, ""))

    def _note(self, target: Target[LoginMove]) -> Observed[LoginMove]:
        """What was begun is told; what was not, or goes the other way, begins."""
        want = target.want()
        move = self._noted(want.secret)
        if move.to != want.to:
            move = Move(want.to, request=want.request)
        if want.told and not move.since:
            move = move.at(self._clock())
        self._aws.call("secretsmanager", "tag_resource", SecretId=want.secret, Tags=tag_list({MOVED: str(move)}))
        return _observed(target, want.secret, move)


def _arn(target: Target[LoginMove]) -> str:
    return target.external_id or (target.desired.secret if target.desired is not None else "")


def _observed(target: Target[LoginMove], arn: str, move: Move) -> Observed[LoginMove]:
    want = target.desired
    value = LoginMove(arn, move.to, want.told if want is not None else bool(move.since), want.request if want is not None else move.request)
    return Observed(arn, value, owner=target.owner, attributes={"since": move.since} if move.since else {}, about=arn)
