"""Rotates what clients of a cache log in with: one idempotent step at a time, each decided by what is outside (`rotation`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, Generic, TypeVar

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import ReconcileError, Terminal, Transient, Waiting
from securebase.core.fields import SecretValue
from securebase.core.identity import digest
from securebase.resources.elasticache import rotation_record as noted
from securebase.resources.elasticache.credential_reads import Reader, Sight, with_password
from securebase.resources.elasticache.login_proof import Doors, LoginProof
from securebase.resources.elasticache.rotation import (
    CHANGED_OUTSIDE,
    LOOK_SECONDS,
    POLL_SECONDS,
    Credential,
    CredentialRetirement,
    Do,
    Move,
    Situation,
    asks_anew,
    cuts_off,
    grace_ends,
    retirement_move,
    rotation_move,
)
from securebase.resources.elasticache.rotation_record import CURRENT, PENDING, Ask, intent, stamp_of
from securebase.resources.elasticache.rotation_request import noted_as, refusal
from securebase.resources.secretsmanager.driver import LONGEST, SHORTEST, generated
from securebase.resources.tagging import tag_list, unresolved

D = TypeVar("D", bound=Credential | CredentialRetirement)

_BUSY: Final = (
    "InvalidReplicationGroupState", "InvalidReplicationGroupStateFault", "InvalidCacheClusterState", "InvalidUserState", "InvalidUserStateFault",
)  # fmt: skip
_REFUSED: Final = ("InvalidParameterValue", "InvalidParameterCombination")
_TRIES: Final = 8
"""Versions under one rotation's name, of which all but the last turned out to be of no use."""


class _RotationDriver(ABC, Generic[D]):
    """What both halves of a rotation have in common. External id: the secret's ARN. Nothing differs: `value` is what is wanted."""

    MARK: ClassVar[str]
    """Tag of the secret by which the resource exists."""
    INTENTS: ClassVar[tuple[Ask, ...]]

    def __init__(self, aws: AwsScope, clock: Callable[[], float], proof: LoginProof | None = None, look: float = LOOK_SECONDS) -> None:
        """`proof` is asked where the cache may be reachable from here. `look`: seconds in which what was asked for may not show yet."""
        self._aws = aws
        self._clock = clock
        self._doors = Doors(proof, clock)
        self._look = look
        self._reader = Reader(aws, clock)
        self._asked: dict[tuple[str, str], float] = {}
        self._first_seen: dict[tuple[str, str], float] = {}

    def observe(self, targets: Sequence[Target[D]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: secret, group and user by id. SWEEP: from one list each."""
        begun = self._clock()
        answers: dict[Key, Answer] = {}
        for target in targets:
            try:
                answers[target.key] = self._answer(target, depth, begun)
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def update(self, target: Target[D], observed: Observed[D], changes: Sequence[Change]) -> Observed[D]:
        """Nothing of it is written: what was seen was seen for another wish, so it is looked at again."""
        sight = self._sight(target, Depth.FRESH, 0.0)
        return replace(observed, value=target.want()) if sight is None else self._observed(target, sight, Depth.FRESH)

    def delete(self, target: Target[D], observed: Observed[D]) -> None:
        """Nobody rotates it any more; its secret and its cache go on their own."""

    def locatable(self, target: Target[D]) -> bool:
        """What has not been taken up yet is absent, whatever else is known."""
        return True

    def advance(self, target: Target[D], observed: Observed[D]) -> Observed[D]:
        """Take the one step that follows from what is there now, which may be another than what was due."""
        sight = self._sight(target, Depth.FRESH, 0.0)
        if sight is None:
            raise Transient("ChangedMeanwhile", "the secret or the cache went away")
        move = self._move(target, self._situation(target, sight, Depth.FRESH))
        if move.do is not Do.NOTHING:
            self._take(target, sight, move)
            sight = self._sight(target, Depth.FRESH, 0.0) or sight
        return self._observed(target, sight, Depth.FRESH)

    @abstractmethod
    def _move(self, target: Target[D], at: Situation) -> Move:
        """The next step."""

    @abstractmethod
    def _take(self, target: Target[D], sight: Sight, move: Move) -> None:
        """Take it."""

    @abstractmethod
    def _to_prove(self, sight: Sight) -> str:
        """The version whose login decides what is next; "" = none."""

    @abstractmethod
    def _told(self, target: Target[D], sight: Sight, move: Move, observed: Observed[D]) -> Observed[D]:
        """What it offers to others."""

    def _answer(self, target: Target[D], depth: Depth, begun: float) -> Observed[D] | None:
        if target.desired is None or unresolved(target.desired.secret, target.desired.group, target.desired.user):
            return None
        sight = self._sight(target, depth, self._clock() - begun)
        return None if sight is None or self.MARK not in sight.secret.tags else self._observed(target, sight, depth)

    def _sight(self, target: Target[D], depth: Depth, age: float) -> Sight | None:
        want = target.want()
        return self._reader.sight(want.secret, want.group, want.user, depth, age)

    def _observed(self, target: Target[D], sight: Sight, depth: Depth) -> Observed[D]:
        move = self._move(target, self._situation(target, sight, depth))
        ready = bool(sight.record.in_force)
        observed = Observed(
            sight.secret.arn,
            target.want(),
            State.READY if ready else State.PENDING,
            move.reason,
            move.message,
            target.owner,
            due=move.do.value,
            about=sight.secret.arn,
            drifted=("value",) if move.reason == CHANGED_OUTSIDE else (),
            again_at=move.again_at,
            attributes={"step": move.do.value or move.reason},
        )
        return self._told(target, sight, move, observed)

    def _situation(self, target: Target[D], sight: Sight, depth: Depth) -> Situation:
        record, access, now = sight.record, sight.access, self._clock()
        stated = record.tags.get(noted.INTENT, "")
        asked, waited = False, -1.0
        if stated.partition("/")[0] in self.INTENTS:
            key = (sight.secret.arn, stated)
            asked = key in self._asked
            if access.ready:
                waited = now - (self._asked[key] if asked else self._first_seen.setdefault(key, now))
        else:
            self._first_seen = {key: at for key, at in self._first_seen.items() if key[0] != sight.secret.arn}
            self._asked = {key: at for key, at in self._asked.items() if key[0] != sight.secret.arn or now - at < self._look}
        known = self._reader.read(sight.secret, record.in_force or record.current)
        return Situation(record, access, now, known.created if known else 0.0, waited, asked, self._proven(sight, depth), self._look)

    def _proven(self, sight: Sight, depth: Depth) -> bool | None:
        version = self._to_prove(sight)
        if depth is Depth.SWEEP or not version or not sight.access.ready:
            return None
        value = self._reader.value(sight.secret, version)
        return self._doors.accepts(sight, value.password) if value is not None and value.password else None

    def _tag(self, sight: Sight, tags: Mapping[str, str]) -> None:
        """All of them or none."""
        self._reader.forget(sight.secret.arn)
        self._aws.call("secretsmanager", "tag_resource", SecretId=sight.secret.arn, Tags=tag_list(tags))

    def _password(self, sight: Sight, version: str) -> str:
        value = self._reader.value(sight.secret, version)
        if value is None or not value.password:
            raise Terminal("UnusableValue", f"version {version} of {sight.secret.name} holds no password that a cache takes; make another one AWSCURRENT")
        return value.password

    def _ask(self, sight: Sight, what: Ask, about: str, passwords: Sequence[str], strategy: str) -> None:
        """State the intent, then ask; never twice within the time in which an answer may not show yet."""
        key, now = (sight.secret.arn, intent(what, about)), self._clock()
        if now - self._asked.get(key, float("-inf")) < self._look:
            raise Waiting("Rotating", "watching the cache", POLL_SECONDS)
        self._tag(sight, {noted.INTENT: key[1], noted.BASE: sight.record.next_base(sight.access)} if what is not Ask.SET else {noted.INTENT: key[1]})
        self._asked[key] = now
        try:
            answer = self._change(sight, passwords, strategy)
        except Terminal:
            self._asked.pop(key, None)
            raise
        if isinstance(answer, Refusal) and answer.code in _BUSY:
            self._asked.pop(key, None)
            self._first_seen[key] = now - self._look  # it did not take it: as soon as it is ready, it is asked again
            raise Waiting("WaitsForGroup", f"the cache takes it when it is available again: {answer.message}", POLL_SECONDS)

    def _change(self, sight: Sight, passwords: Sequence[str], strategy: str) -> dict[str, Any] | Refusal:
        if sight.user is not None:
            return self._aws.attempt("elasticache", "modify_user", _BUSY, UserId=sight.user["UserId"], Passwords=list(passwords))
        return self._aws.attempt(
            "elasticache",
            "modify_replication_group",
            _BUSY,
            ReplicationGroupId=sight.group["ReplicationGroupId"],
            AuthToken=passwords[-1],
            AuthTokenUpdateStrategy=strategy,
            ApplyImmediately=True,
        )


class CredentialDriver(_RotationDriver[Credential]):
    """`elasticache/credential`: what the cache accepts and clients are told, and how the next one gets there."""

    type: ClassVar[str] = "elasticache/credential"
    MARK: ClassVar[str] = noted.BASE
    INTENTS: ClassVar[tuple[Ask, ...]] = (Ask.ROTATE, Ask.RECLAIM)

    def create(self, target: Target[Credential], token: str) -> Observed[Credential]:
        """Take up a secret and a cache as they are. A request that is older than the secret is answered by its first value."""
        sight = self._sight(target, Depth.FRESH, 0.0)
        if sight is None:
            raise Waiting("WaitsForGroup", "the secret or the cache cannot be seen yet")
        if not sight.access.ready:
            raise Waiting("WaitsForGroup", f"the cache is {sight.access.status}", POLL_SECONDS)
        taken_up = {noted.ACKNOWLEDGED: noted_as(target.want().request)} if asks_anew(target.want(), sight.record) else {}
        self._tag(sight, {noted.BASE: sight.access.stamp} | taken_up)
        observed = self._observed(target, self._sight(target, Depth.FRESH, 0.0) or sight, Depth.FRESH)
        return self.advance(target, observed) if observed.due else observed

    def _move(self, target: Target[Credential], at: Situation) -> Move:
        return rotation_move(target.want(), at)

    def _to_prove(self, sight: Sight) -> str:
        record = sight.record
        if not record.in_force:
            return record.current
        if record.rotates == record.candidate:
            return record.rotates or (record.in_force if sight.user is not None and record.alone else "")  # of a user no date tells who changed it
        return ""

    def _situation(self, target: Target[Credential], sight: Sight, depth: Depth) -> Situation:
        self._reader.value(sight.secret, sight.record.in_force or sight.record.current)  # once a version: its age counts
        return super()._situation(target, sight, depth)

    def _told(self, target: Target[Credential], sight: Sight, move: Move, observed: Observed[Credential]) -> Observed[Credential]:
        record = sight.record
        attributes = {**observed.attributes, "requested": record.acknowledged} | ({"immediate": "true"} if cuts_off(record) else {})
        if wrong := refusal(target.want().request):
            observed = replace(observed, state=State.FAILED, reason="InvalidRequest", message=wrong)
        shut = sight.user is not None and not sight.group.get("UserGroupIds")
        if not record.in_force or shut or (record.alone and not record.of_group(sight.access)):  # what is noted is of another time, or of another cache
            return replace(observed, state=State.FAILED if wrong else State.PENDING, attributes=attributes)
        value = self._reader.value(sight.secret, record.in_force)
        if value is None or not value.password:
            lost = f"version {record.in_force}, which the cache accepts, is not in the secret any more"
            return replace(observed, state=State.FAILED, reason="ValueLost", message=lost, attributes=attributes)
        attributes |= {"version": record.in_force, "startedAt": stamp_of(value.created)}
        return replace(observed, attributes=attributes, secrets={"password": SecretValue(value.password, record.in_force)})

    def _take(self, target: Target[Credential], sight: Sight, move: Move) -> None:
        record, base = sight.record, sight.record.next_base(sight.access)
        accepted = {noted.IN_FORCE: move.version, noted.SINCE: stamp_of(self._clock()), noted.BASE: base, noted.INTENT: ""}
        match move.do:
            case Do.ADOPT:
                self._tag(sight, accepted | {noted.ALONE: move.version})
            case Do.REBASE:
                self._tag(sight, {noted.BASE: base})
            case Do.PUT:
                self._acknowledge(target, sight, self._put(target, sight))
            case Do.ACKNOWLEDGE:
                self._acknowledge(target, sight, move.version)
            case Do.RECLAIM:
                self._reclaim(sight, move.version)
            case Do.ROTATE:
                self._rotate(sight, move.version)
            case Do.PROMOTE:
                self._tag(sight, accepted)
                self._move_labels(sight, move.version)
            case Do.FINISH:
                self._move_labels(sight, record.in_force)
            case _:
                raise Transient("Unexpected", f"no step of a credential: {move.do}")

    def _acknowledge(self, target: Target[Credential], sight: Sight, version: str) -> None:
        want = target.want()
        if asks_anew(want, sight.record):
            self._tag(sight, {noted.ACKNOWLEDGED: noted_as(want.request)} | ({noted.IMMEDIATE: version} if want.immediate else {}))

    def _put(self, target: Target[Credential], sight: Sight) -> str:
        """A new value as AWSPENDING, under a name that this rotation alone has: after a crash the same version is found again."""
        record, want = sight.record, target.want()
        before = self._reader.value(sight.secret, record.in_force)
        text = before.text if before else ""
        length = min(max(len(before.password) if before else 0, SHORTEST), LONGEST)
        begun = (target.owner, record.in_force, record.tags.get(noted.SINCE, ""), want.request if asks_anew(want, record) else "")
        for attempt in range(_TRIES):
            version = digest(*begun, str(attempt), length=64)
            said = {"SecretId": sight.secret.arn, "ClientRequestToken": version, "VersionStages": [PENDING]}
            value = with_password(text, self._aws.learn(generated(length)))
            self._reader.forget(sight.secret.arn)
            answer = self._aws.attempt("secretsmanager", "put_secret_value", ("ResourceExistsException",), SecretString=value, **said)
            if not isinstance(answer, Refusal):
                return version
            there = self._reader.value(sight.secret, version)
            if there is not None and there.password:
                self._label(sight, PENDING, version, record.labels.get(PENDING, ""))
                return version
        raise Terminal("UnusableValue", f"{_TRIES} values of this rotation of {sight.secret.name} could not be used; ask for another one")

    def _rotate(self, sight: Sight, version: str) -> None:
        record = sight.record
        value = self._reader.value(sight.secret, version)
        if version != record.current and (value is None or not value.password):
            self._reader.forget(sight.secret.arn)
            self._label(sight, PENDING, "", version)  # of no use: another one is put there
            return
        passwords = [self._password(sight, each) for each in dict.fromkeys((record.in_force, version)) if each]
        self._ask(sight, Ask.ROTATE, version, list(dict.fromkeys(passwords)), "ROTATE")

    def _reclaim(self, sight: Sight, version: str) -> None:
        try:
            self._ask(sight, Ask.RECLAIM, version, [self._password(sight, sight.record.in_force)], "ROTATE")
        except Terminal as refused:
            if refused.reason not in _REFUSED:
                raise
            self._rotate(sight, version)  # it takes no token twice: then there is nothing to save

    def _move_labels(self, sight: Sight, version: str) -> None:
        """AWSPREVIOUS follows AWSCURRENT by itself (UpdateSecretVersionStage)."""
        record = sight.record
        self._reader.forget(sight.secret.arn)
        if record.current != version:
            self._label(sight, CURRENT, version, record.current)
        if record.labels.get(PENDING) == version:
            self._label(sight, PENDING, "", version)

    def _label(self, sight: Sight, label: str, to: str, source: str) -> None:
        said = {name: version for name, version in (("MoveToVersionId", to), ("RemoveFromVersionId", source)) if version}
        answer = self._aws.attempt(
            "secretsmanager", "update_secret_version_stage", ("InvalidParameterException",), SecretId=sight.secret.arn, VersionStage=label, **said
        )
        if isinstance(answer, Refusal):
            raise Transient("ChangedMeanwhile", f"label {label} of {sight.secret.name}: {answer.message}")


class CredentialRetirementDriver(_RotationDriver[CredentialRetirement]):
    """`elasticache/credential-retirement`: what was in force before stops working, once its grace is over and never while the new one is unpublished."""

    type: ClassVar[str] = "elasticache/credential-retirement"
    MARK: ClassVar[str] = noted.RETIRES
    INTENTS: ClassVar[tuple[Ask, ...]] = (Ask.SET,)

    def create(self, target: Target[CredentialRetirement], token: str) -> Observed[CredentialRetirement]:
        """Take it up; the grace counts from the publication, whenever that is looked at."""
        sight = self._sight(target, Depth.FRESH, 0.0)
        if sight is None:
            raise Waiting("WaitsForGroup", "the secret or the cache cannot be seen yet")
        self._tag(sight, {noted.RETIRES: "yes"})
        return self._observed(target, self._sight(target, Depth.FRESH, 0.0) or sight, Depth.FRESH)

    def _move(self, target: Target[CredentialRetirement], at: Situation) -> Move:
        return retirement_move(target.want(), at)

    def _to_prove(self, sight: Sight) -> str:
        record = sight.record
        return record.in_force if record.intends(Ask.SET, record.in_force) else ""

    def _told(self, target: Target[CredentialRetirement], sight: Sight, move: Move, observed: Observed[CredentialRetirement]) -> Observed[CredentialRetirement]:
        record = sight.record
        attributes = dict(observed.attributes)
        if record.alone:
            return replace(observed, attributes=attributes | {"version": record.in_force})
        end = grace_ends(target.want(), record) if move.do is Do.NOTHING else None
        return replace(observed, attributes=attributes | ({"graceEndsAt": stamp_of(end)} if end is not None else {}))

    def _take(self, target: Target[CredentialRetirement], sight: Sight, move: Move) -> None:
        match move.do:
            case Do.SET:
                self._set(sight, move.version)
            case Do.ALONE:
                self._tag(sight, {noted.ALONE: move.version, noted.BASE: sight.record.next_base(sight.access), noted.INTENT: ""})
            case Do.GIVE_UP:
                self._tag(sight, {noted.ALONE: move.version, noted.INTENT: ""})
            case _:
                raise Transient("Unexpected", f"no step of a retirement: {move.do}")

    def _set(self, sight: Sight, version: str) -> None:
        """Refused, the token is not the latest of two any more (ModifyReplicationGroup: "SET - allowed only after ROTATE"): somebody else was here."""
        try:
            self._ask(sight, Ask.SET, version, [self._password(sight, version)], "SET")
        except Terminal as refused:
            if refused.reason in _REFUSED:
                self._tag(sight, {noted.ALONE: version, noted.BASE: sight.access.long_ago, noted.INTENT: ""})
            raise
