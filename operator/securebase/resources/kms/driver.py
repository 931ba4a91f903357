"""Puts our statement into a customer key's policy and takes it out again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import RETIRED, Answer, Depth, Key, Observed, Target
from securebase.core.errors import ReconcileError, ReferenceNotFound, Terminal
from securebase.core.identity import digest
from securebase.resources.kms.model import ACTIONS, KeyStatement, problems
from securebase.resources.listing import Turns
from securebase.resources.policy_documents import Policy, PolicyDocuments
from securebase.resources.statements import canonical, named, parsed
from securebase.resources.tagging import unresolved

_DEFAULT: Final = "default"
"""The only policy a key has (PutKeyPolicy, API reference)."""
_GONE: Final = ("NotFoundException",)
_REFUSED: Final = (*_GONE, "KMSInvalidStateException", "MalformedPolicyDocumentException", "LimitExceededException")
_UNUSABLE: Final = "KeyUnusable"
_ALTERED: Final = "(statement altered)"
_DOCUMENTS: Final = PolicyDocuments()

Policies = Mapping[str, dict[str, Any] | ReconcileError | None]


class KeyStatementDriver:
    """`kms/policy-statement`. The Sid, made from the identity, proves whose a statement is. External id: `<key ARN>/<sid>`.

    No list returns policies: a sweep reads a fiftieth of the keys, each once for all its statements.
    """

    type: ClassVar[str] = "kms/policy-statement"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._turns: Turns[str, Policy] = Turns(clock, share=0.02, at_least=5)

    def observe(self, targets: Sequence[Target[KeyStatement]], depth: Depth) -> Mapping[Key, Answer]:
        """One GetKeyPolicy a key, in turns when sweeping."""
        places = {target.key: _place(target) for target in targets}
        keys = sorted({key for key, _ in places.values() if not unresolved(key)})
        failed: dict[str, ReconcileError] = {}
        if depth is Depth.SWEEP:
            reads = self._turns.round(keys, lambda due: self._read_all(due, failed))
            policies: Policies = {**{key: read.value for key, read in reads.items()}, **failed}
            ages = {key: read.at for key, read in reads.items()}
        else:
            found = self._read_all(keys, failed)
            for key, policy in found.items():
                self._turns.put(key, policy)
            policies, ages = {**found, **failed}, {}
        return {target.key: self._answer(target, places[target.key], policies, ages) for target in targets}

    def locatable(self, target: Target[KeyStatement]) -> bool:
        """By key and Sid, whoever it lets in."""
        return not unresolved(_place(target)[0])

    def create(self, target: Target[KeyStatement], token: str) -> Observed[KeyStatement]:
        """Put the statement beside the others."""
        return self._put(target)

    def update(self, target: Target[KeyStatement], observed: Observed[KeyStatement], changes: Sequence[Change]) -> Observed[KeyStatement]:
        """Put the statement in the place of its old self."""
        return self._put(target)

    def problems(self, desired: KeyStatement) -> Iterable[str]:
        """What KMS would refuse, known without asking."""
        return problems(desired)

    def delete(self, target: Target[KeyStatement], observed: Observed[KeyStatement]) -> None:
        """Take the statement out. A key that is gone, or on its way, has nothing to take it from."""
        key, _, sid = observed.external_id.rpartition("/")
        if self._read(key) is None:
            return
        try:
            self._edit(key, sid, None)
        except Terminal as refused:
            if refused.reason != _UNUSABLE:
                raise

    def _put(self, target: Target[KeyStatement]) -> Observed[KeyStatement]:
        want = target.want()
        if wrong := list(problems(want)):
            raise Terminal("InvalidKeyStatement", "; ".join(wrong))
        key, sid = want.key, _sid(target)
        statement = key_statement(self._aws.account_id, want.principals, want.sources)
        # PutKeyPolicy, API reference: "Cross-account use: No".
        if (account := key.split(":")[4]) != self._aws.account_id:
            advice = f"the policy of {key} can only be changed in its account {account}: use a key of account {self._aws.account_id}"
            raise Terminal("KeyOfAnotherAccount", advice)
        if self._read(key) is None:
            raise ReferenceNotFound(f"key {key} does not exist")
        self._edit(key, sid, statement)
        return _observed(target, key, sid, want)

    def _edit(self, key: str, sid: str, statement: Mapping[str, Any] | None) -> None:
        document = _DOCUMENTS.get(key, f"the policy of key {key}")
        after = document.edit(sid, statement, lambda: self._read_now(key), lambda policy: self._write(key, policy), self._clock)
        self._turns.put(key, after)

    def _write(self, key: str, policy: Policy) -> None:
        if policy is None:
            raise Terminal("KeyPolicyEmpty", f"key {key} has no statement but ours: without it nobody could manage the key; add one for its administrators")
        answer = self._aws.attempt("kms", "put_key_policy", _REFUSED, KeyId=key, PolicyName=_DEFAULT, Policy=json.dumps(policy, ensure_ascii=False))
        if isinstance(answer, Refusal):
            raise _refused(key, answer)

    def _read_all(self, keys: Sequence[str], failed: dict[str, ReconcileError]) -> dict[str, Policy]:
        found: dict[str, Policy] = {}
        for key in keys:
            try:
                found[key] = self._read(key)
            except ReconcileError as error:
                failed[key] = error
        return found

    def _read(self, key: str) -> Policy:
        """As last written by us, where the read is older."""
        return _DOCUMENTS.get(key, f"the policy of key {key}").corrected(self._read_now(key), self._clock())

    def _read_now(self, key: str) -> Policy:
        answer = self._aws.attempt("kms", "get_key_policy", (*_GONE, "KMSInvalidStateException"), KeyId=key, PolicyName=_DEFAULT)
        return None if isinstance(answer, Refusal) else parsed(answer["Policy"])

    def _answer(self, target: Target[KeyStatement], place: tuple[str, str], policies: Policies, ages: Mapping[str, float]) -> Answer:
        key, sid = place
        policy = policies.get(key)
        if policy is None or isinstance(policy, ReconcileError):
            return policy
        statement = named(policy, sid)
        if statement is None:
            return None
        value = KeyStatement(key, *_read_back(self._aws.account_id, statement))
        return replace(_observed(target, key, sid, value), checked_at=ages.get(key, 0.0))


def key_statement(account: str, principals: frozenset[str], sources: frozenset[str]) -> dict[str, Any]:
    """Lets services use the key for one account, and for sources that match, without its Sid."""
    condition: dict[str, Any] = {"StringEquals": {"aws:SourceAccount": account}}
    if sources:
        condition["ArnLike"] = {"aws:SourceArn": sorted(sources)}
    # In a key's policy "*" is the key itself (KMS Developer Guide, "Key policies").
    return {"Effect": "Allow", "Principal": {"Service": sorted(principals)}, "Action": list(ACTIONS), "Resource": "*", "Condition": condition}


def _read_back(account: str, statement: Mapping[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Principals and sources of our statement; marked where somebody altered the rest of it."""
    principal, condition = statement.get("Principal"), statement.get("Condition")
    principals = _texts(principal.get("Service") if isinstance(principal, Mapping) else None)
    like = condition.get("ArnLike") if isinstance(condition, Mapping) else None
    sources = _texts(like.get("aws:SourceArn") if isinstance(like, Mapping) else None)
    rest = {name: value for name, value in statement.items() if name != "Sid"}
    if canonical(rest) == canonical(key_statement(account, principals, sources)):
        return principals, sources
    return principals | {_ALTERED}, sources


def _texts(value: Any) -> frozenset[str]:
    return frozenset({value} if isinstance(value, str) else value or ())


def _sid(target: Target[KeyStatement]) -> str:
    node = target.node.partition(RETIRED)[0]
    return f"SecureBase{digest(target.identity.owner(node), length=20)}"


def _place(target: Target[KeyStatement]) -> tuple[str, str]:
    if target.external_id:
        key, _, sid = target.external_id.rpartition("/")
        return key, sid
    return target.want().key, _sid(target)


def _observed(target: Target[KeyStatement], key: str, sid: str, value: KeyStatement) -> Observed[KeyStatement]:
    return Observed(f"{key}/{sid}", value, owner=target.owner, attributes={"key": key, "sid": sid})


def _refused(key: str, refusal: Refusal) -> ReconcileError:
    match refusal.code:
        case "NotFoundException":
            return ReferenceNotFound(f"key {key} does not exist")
        case "KMSInvalidStateException":
            return Terminal(_UNUSABLE, f"key {key} cannot be changed: {refusal.message}")
        case "LimitExceededException":
            return Terminal("KeyPolicyFull", f"the policy of key {key} has no room for another statement (32 KB): {refusal.message}")
        case _:
            return Terminal("InvalidKeyPolicy", f"KMS refuses the policy of key {key} with our statement: {refusal.message}")
