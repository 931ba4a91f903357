"""Reads buckets of others; puts our statement into a bucket's policy and takes it out again."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, Target
from securebase.core.errors import Denied, ReconcileError, ReferenceNotFound, Transient
from securebase.resources.listing import LAG_SECONDS, STORM_SECONDS, Read, Turns
from securebase.resources.s3.model import Bucket, PolicyStatement
from securebase.resources.statements import canonical, named, parsed, same, with_statement, without_statement
from securebase.resources.tagging import unresolved

_SUFFIX: Final = {"aws-cn": "amazonaws.com.cn"}
_NO_POLICY: Final = ("NoSuchBucketPolicy", "NoSuchBucket")


class BucketDriver:
    """`s3/bucket`, EXTERNAL. Absent when S3 knows no such bucket; AccessDenied (also another account's bucket) is Denied.

    A sweep is one ListBuckets for all buckets of the account; a bucket's region never changes, so it is asked once. Others' buckets
    are read in turns. Many objects that name one bucket and come at once share its read.
    """

    type: ClassVar[str] = "s3/bucket"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._regions: dict[str, Read[str]] = {}
        self._turns: Turns[str, str | None] = Turns(clock, share=0.05, at_least=5)

    def observe(self, targets: Sequence[Target[Bucket]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: GetBucketLocation by name, at most `STORM_SECONDS` old where the bucket was there. SWEEP: ListBuckets."""
        names = {target.key: _bucket_name(target) for target in targets}
        wanted = sorted({name for name in names.values() if not unresolved(name)})
        regions = self._swept(wanted) if depth is Depth.SWEEP else {name: self._recent(name) or self._region(name) for name in wanted}
        return {key: self._answer(name, regions.get(name)) for key, name in names.items()}

    def create(self, target: Target[Bucket], token: str) -> Observed[Bucket]:
        """Never called: a bucket is somebody else's."""
        raise ReferenceNotFound(f"bucket {_bucket_name(target)} does not exist; the operator makes none")

    def update(self, target: Target[Bucket], observed: Observed[Bucket], changes: Sequence[Change]) -> Observed[Bucket]:
        """Nothing of it is ours to change."""
        return observed

    def delete(self, target: Target[Bucket], observed: Observed[Bucket]) -> Observed[Bucket] | None:
        """Letting go of it is all there is to do."""
        return None

    def _swept(self, names: Sequence[str]) -> dict[str, str | ReconcileError | None]:
        listed = self._listed()
        found: dict[str, str | ReconcileError | None] = {}
        for name in names:
            if name in listed:
                found[name] = listed[name] or self._recent(name, float("inf")) or self._region(name)
        return found | self._in_turns([name for name in names if name not in found])

    def _in_turns(self, names: Sequence[str]) -> dict[str, str | ReconcileError | None]:
        failed: dict[str, ReconcileError] = {}

        def read(due: Sequence[str]) -> dict[str, str | None]:
            answers = {name: self._region(name) for name in due}
            failed.update({name: answer for name, answer in answers.items() if isinstance(answer, ReconcileError)})
            return {name: answer for name, answer in answers.items() if not isinstance(answer, ReconcileError)}

        return {name: answer.value for name, answer in self._turns.round(names, read).items()} | failed

    def _listed(self) -> dict[str, str]:
        """Name -> region ("" where the list does not say). Without the permission to list, every bucket is read in turns."""
        try:
            pages = list(self._aws.pages("s3", "list_buckets", MaxBuckets=1000))
        except Denied:
            return {}
        return {bucket["Name"]: bucket.get("BucketRegion", "") for page in pages for bucket in page.get("Buckets", [])}

    def _region(self, name: str) -> str | ReconcileError | None:
        try:
            answer = self._aws.attempt("s3", "get_bucket_location", ("NoSuchBucket", "404"), Bucket=name)
        except ReconcileError as error:
            return error
        if isinstance(answer, Refusal):
            self._regions.pop(name, None)
            return None
        # GetBucketLocation, API reference: null is us-east-1, "EU" an old name of eu-west-1.
        location = answer.get("LocationConstraint") or "us-east-1"
        region = "eu-west-1" if location == "EU" else str(location)
        self._regions[name] = Read(region, self._clock())
        return region

    def _recent(self, name: str, max_age: float = STORM_SECONDS) -> str | None:
        """The region as read not long ago. Only presence is kept: a bucket that was missing may have been made since."""
        known = self._regions.get(name)
        return known.value if known is not None and self._clock() - known.at <= max_age else None

    def _answer(self, name: str, region: str | ReconcileError | None) -> Answer:
        if region is None or isinstance(region, ReconcileError):
            return region
        attributes = {
            "name": name,
            "region": region,
            "arn": f"arn:{self._aws.partition}:s3:::{name}",
            "domainName": f"{name}.s3.{region}.{_SUFFIX.get(self._aws.partition, 'amazonaws.com')}",
        }
        return Observed(name, Bucket(name), attributes=attributes)


def _bucket_name(target: Target[Bucket]) -> str:
    return target.desired.name if target.desired is not None else target.external_id


@dataclass(slots=True)
class _Document:
    """One bucket's policy in this process: who may write it, and which texts we know to be old.

    A policy is eventually consistent: a read right after our write may still give the text before it, and writing on top of that would lose
    our own last statement.
    """

    lock: threading.RLock = field(default_factory=threading.RLock)
    newest: dict[str, Any] | None = None
    older: list[dict[str, Any] | None] = field(default_factory=list)
    written_at: float = float("-inf")

    def wrote(self, before: dict[str, Any] | None, after: dict[str, Any] | None, now: float) -> None:
        """Remember a write; what came before it is old from now on."""
        recent = self.older if now - self.written_at < LAG_SECONDS else []
        self.older = [text for text in [*recent, before] if text != after]
        self.newest, self.written_at = after, now

    def corrected(self, read: dict[str, Any] | None, now: float) -> dict[str, Any] | None:
        """What was read, or what we wrote where the read is known to be older."""
        stale = now - self.written_at < LAG_SECONDS and read in self.older
        return self.newest if stale else read


class _Documents:
    """The documents of this process by account and bucket, whichever region a driver serves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], _Document] = {}

    def get(self, account: str, bucket: str) -> _Document:
        """The one document of a bucket."""
        with self._lock:
            return self._known.setdefault((account, bucket), _Document())


_DOCUMENTS: Final = _Documents()

Policy = dict[str, Any] | None
Policies = Mapping[str, dict[str, Any] | ReconcileError | None]


class PolicyStatementDriver:
    """`s3/policy-statement`. The Sid, made from the identity, proves whose a statement is. External id: `<bucket>/<sid>`.

    No list returns policies: a sweep reads a fiftieth of the buckets, each once for all its statements.
    """

    type: ClassVar[str] = "s3/policy-statement"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._turns: Turns[str, Policy] = Turns(clock, share=0.02, at_least=5)

    def observe(self, targets: Sequence[Target[PolicyStatement]], depth: Depth) -> Mapping[Key, Answer]:
        """One GetBucketPolicy a bucket, in turns when sweeping."""
        places = {target.key: _place(target) for target in targets}
        buckets = sorted({bucket for bucket, sid in places.values() if not unresolved(bucket, sid)})
        policies, ages = self._swept(buckets) if depth is Depth.SWEEP else self._read_now(buckets)
        return {target.key: _answer(target, places[target.key], policies, ages) for target in targets}

    def locatable(self, target: Target[PolicyStatement]) -> bool:
        """By bucket and Sid, whatever it is to say."""
        return not unresolved(*_place(target))

    def create(self, target: Target[PolicyStatement], token: str) -> Observed[PolicyStatement]:
        """Put the statement beside the others."""
        return self._put(target)

    def update(self, target: Target[PolicyStatement], observed: Observed[PolicyStatement], changes: Sequence[Change]) -> Observed[PolicyStatement]:
        """Put the statement in the place of its old self."""
        return self._put(target)

    def delete(self, target: Target[PolicyStatement], observed: Observed[PolicyStatement]) -> None:
        """Take the statement out; the policy too, when nothing else is in it."""
        bucket, _, sid = observed.external_id.partition("/")
        self._edit(bucket, sid, None)

    def _put(self, target: Target[PolicyStatement]) -> Observed[PolicyStatement]:
        want = target.want()
        self._edit(want.bucket, want.sid, parsed(want.document))
        return _observed(target, want)

    def _edit(self, bucket: str, sid: str, statement: Mapping[str, Any] | None) -> None:
        document = _DOCUMENTS.get(self._aws.account_id, bucket)
        with document.lock:
            before = self._read(bucket)
            after = _without(before, sid) if statement is None else with_statement(before, sid, statement)
            if after != before:
                self._write(bucket, after)
                document.wrote(before, after, self._clock())
                self._verify(bucket, sid, after)
            self._turns.put(bucket, after)

    def _write(self, bucket: str, policy: Policy) -> None:
        if policy is None:
            self._aws.attempt("s3", "delete_bucket_policy", _NO_POLICY, Bucket=bucket)
            return
        answer = self._aws.attempt("s3", "put_bucket_policy", ("NoSuchBucket",), Bucket=bucket, Policy=json.dumps(policy, ensure_ascii=False))
        if isinstance(answer, Refusal):
            raise ReferenceNotFound(f"bucket {bucket} does not exist")

    def _verify(self, bucket: str, sid: str, written: Policy) -> None:
        """S3 has no conditional write for policies: somebody else may have written between our read and our write, or right after it."""
        found = self._read(bucket)
        ours, wanted = (named(document or {}, sid) for document in (found, written))
        if (ours is None) != (wanted is None) or (ours is not None and wanted is not None and canonical(ours) != canonical(wanted)):
            raise Transient("ChangedMeanwhile", f"the policy of bucket {bucket} was changed by somebody else while statement {sid} was written")

    def _swept(self, buckets: Sequence[str]) -> tuple[Policies, Mapping[str, float]]:
        failed: dict[str, ReconcileError] = {}
        reads = self._turns.round(buckets, lambda due: self._read_all(due, failed))
        return {bucket: read.value for bucket, read in reads.items()} | failed, {bucket: read.at for bucket, read in reads.items()}

    def _read_now(self, buckets: Sequence[str]) -> tuple[Policies, Mapping[str, float]]:
        failed: dict[str, ReconcileError] = {}
        policies = self._read_all(buckets, failed)
        for bucket, policy in policies.items():
            self._turns.put(bucket, policy)
        return policies | failed, {}

    def _read_all(self, buckets: Sequence[str], failed: dict[str, ReconcileError]) -> dict[str, Policy]:
        found: dict[str, Policy] = {}
        for bucket in buckets:
            try:
                found[bucket] = self._read(bucket)
            except ReconcileError as error:
                failed[bucket] = error
        return found

    def _read(self, bucket: str) -> Policy:
        answer = self._aws.attempt("s3", "get_bucket_policy", _NO_POLICY, Bucket=bucket)
        policy = None if isinstance(answer, Refusal) else parsed(answer["Policy"])
        return _DOCUMENTS.get(self._aws.account_id, bucket).corrected(policy, self._clock())


def _without(policy: Policy, sid: str) -> Policy:
    return None if policy is None else without_statement(policy, sid)


def _place(target: Target[PolicyStatement]) -> tuple[str, str]:
    if target.external_id:
        bucket, _, sid = target.external_id.partition("/")
        return bucket, sid
    want = target.want()
    return want.bucket, want.sid


def _answer(target: Target[PolicyStatement], place: tuple[str, str], policies: Policies, ages: Mapping[str, float]) -> Answer:
    bucket, sid = place
    policy = policies.get(bucket)
    if policy is None or isinstance(policy, ReconcileError):
        return policy
    statement = named(policy, sid)
    if statement is None:
        return None
    found = canonical({key: value for key, value in statement.items() if key != "Sid"})
    # One meaning has many spellings; an equal one shows as the wanted one, so that nothing differs.
    equal = target.desired is not None and same(target.desired.document, found)
    value = PolicyStatement(bucket, sid, target.desired.document if equal and target.desired is not None else found)
    return replace(_observed(target, value), checked_at=ages.get(bucket, 0.0))


def _observed(target: Target[PolicyStatement], value: PolicyStatement) -> Observed[PolicyStatement]:
    return Observed(f"{value.bucket}/{value.sid}", value, owner=target.owner)
