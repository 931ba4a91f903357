"""Keeps secrets: generates the first value, reads a value only when another version became current, deletes with a way back."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import ReconcileError, Terminal, Transient
from securebase.core.fields import SecretValue
from securebase.core.identity import OWNER_TAG, Identity
from securebase.resources.listing import STORM_SECONDS, Listing
from securebase.resources.secretsmanager.model import ManagedSecret
from securebase.resources.tagging import Tagged, owned_nodes, tag_list, tag_map, tags_to_put, tags_to_remove, unresolved

RECOVERY_DAYS: Final = 7
"""The shortest window in which a deleted secret can be restored (Secrets Manager API reference, DeleteSecret)."""

TOKEN_CHARACTERS: Final = string.ascii_letters + string.digits + "!&#$^<>-"
"""What an AUTH token may hold, in 16 to 128 characters (ElastiCache API reference, CreateReplicationGroup, AuthToken)."""

SHORTEST, LONGEST = 32, 128
"""Characters of a generated password."""

RETIRED_TAG: Final = "securebase.io/retired"
"""Tag: we let the secret go; its value is never to let anybody in again, should the secret come back."""

_LET_GO: Final = "(let go)"
"""What stands for the description of such a secret: where it is wanted again it differs, and is given another value."""

_NOTES: Final = "securebase.io/"
"""Begins the keys of all our tags."""

_GONE: Final = ("ResourceNotFoundException",)
_SCHEDULED: Final = "InvalidRequestException"
_CURRENT: Final = "AWSCURRENT"


@dataclass(frozen=True, slots=True)
class Description:
    """A secret without its value, as DescribeSecret and ListSecrets both tell it. `stamp` is when it last changed in any way."""

    arn: str
    name: str
    text: str
    kms_key: str
    tags: Mapping[str, str]
    stages: Mapping[str, frozenset[str]]
    stamp: Any
    deleted: bool

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Description:
        """From either answer."""
        stages = entry.get("VersionIdsToStages") or entry.get("SecretVersionsToStages") or {}
        return cls(
            arn=entry["ARN"],
            name=entry["Name"],
            text=entry.get("Description") or "",
            kms_key=entry.get("KmsKeyId") or "",
            tags={tag["Key"]: tag.get("Value", "") for tag in entry.get("Tags") or ()},
            stages={version: frozenset(names) for version, names in stages.items()},
            stamp=entry.get("LastChangedDate"),
            deleted=bool(entry.get("DeletedDate")),
        )

    @property
    def retired(self) -> bool:
        """Whether we let it go, whether or not it is deleted yet."""
        return RETIRED_TAG in self.tags

    @property
    def current(self) -> str:
        """The version labelled AWSCURRENT; "" while there is none."""
        return next((version for version, names in self.stages.items() if _CURRENT in names), "")

    def agrees(self, listed: Description) -> bool:
        """Whether a list shows nothing that this does not know. A list may lag five minutes behind (ListSecrets): what differs is read anew."""
        return (self.stamp, self.text, self.tags, self.current) == (listed.stamp, listed.text, listed.tags, listed.current)


@dataclass(frozen=True, slots=True)
class _Value:
    """The value of one version, or why it is of no use."""

    version: str
    secret: SecretValue | None = field(repr=False)


class ManagedSecretDriver:
    """`secretsmanager/secret`. External id: the ARN.

    A sweep lists the secrets with an owner tag, a hundred a page; what the list shows changed is described again. Values are read once a version.
    """

    type: ClassVar[str] = "secretsmanager/secret"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._listing: Listing[str, Description] = Listing(self._list, clock)
        self._known: dict[str, Description] = {}
        self._values: dict[str, _Value] = {}

    def observe(self, targets: Sequence[Target[ManagedSecret]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: described by ARN or name. SWEEP: one list, and descriptions of what it shows changed."""
        listed = self._listing.get() if depth is Depth.SWEEP else {}
        answers: dict[Key, Answer] = {}
        for target in targets:
            try:
                answers[target.key] = self._answer(target, listed)
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def create(self, target: Target[ManagedSecret], token: str) -> Observed[ManagedSecret]:
        """Make it with a generated value, restore it where its name waits for deletion, or take up what an earlier try made. What somebody else
        deleted has its value again; what we let go gets another one, and forgets what was noted of the one before."""
        want = target.want()
        there = self._describe(want.name)
        if there is None:
            there = self._make(target, token)
        if there.tags.get(OWNER_TAG) != target.owner:
            waits = ", and waits for its deletion" if there.deleted else ""
            raise Terminal("NameTaken", f"a secret named {want.name} exists{waits}, and is not ours; restore or remove it for good first")
        if there.deleted:
            self._aws.call("secretsmanager", "restore_secret", SecretId=there.arn)
            there = replace(there, deleted=False)
        return self.update(target, self._observed(target, there), ())

    def update(self, target: Target[ManagedSecret], observed: Observed[ManagedSecret], changes: Sequence[Change]) -> Observed[ManagedSecret]:
        """Change what is told about it; a new key re-encrypts the versions in use (UpdateSecret). What was let go gets another value."""
        if isinstance(observed.raw, Description) and observed.raw.retired:
            observed = self._observed(target, self._renewed(target, observed.raw))
        want, have, arn = target.want(), observed.value, observed.external_id
        told: dict[str, str] = {}
        if want.description != have.description:
            told["Description"] = want.description
        if want.kms_key != have.kms_key:
            told["KmsKeyId"] = want.kms_key  # "" = the account's own key
        if told:
            self._aws.call("secretsmanager", "update_secret", SecretId=arn, **told)
        if put := tags_to_put(want.tags, have.tags):
            self._aws.call("secretsmanager", "tag_resource", SecretId=arn, Tags=tag_list(put))
        if gone := tags_to_remove(changes, want.tags):
            self._aws.call("secretsmanager", "untag_resource", SecretId=arn, TagKeys=gone)
        self._known.pop(arn, None)
        tags = {key: value for key, value in {**have.tags, **put}.items() if key not in gone}
        return replace(observed, value=replace(want, tags=tags))

    def delete(self, target: Target[ManagedSecret], observed: Observed[ManagedSecret]) -> None:
        """Schedule its deletion: from then on nobody can read it, and for seven days it can be restored."""
        arn = observed.external_id
        noted = self._aws.attempt("secretsmanager", "tag_resource", (*_GONE, _SCHEDULED), SecretId=arn, Tags=tag_list({RETIRED_TAG: "yes"}))
        if isinstance(noted, Refusal) and noted.code in _GONE:
            self._forget(arn)
            return
        answer = self._aws.attempt("secretsmanager", "delete_secret", (*_GONE, _SCHEDULED), SecretId=arn, RecoveryWindowInDays=RECOVERY_DAYS)
        if isinstance(answer, Refusal) and answer.code == _SCHEDULED and (left := self._describe(arn)) is not None and not left.deleted:
            raise Terminal(answer.code, f"{observed.value.name} cannot be deleted: {answer.message}")  # a replica holds it, for one
        self._forget(arn)

    def adopt(self, target: Target[ManagedSecret], observed: Observed[ManagedSecret]) -> Observed[ManagedSecret]:
        """Put our owner tag on it. Its value stays."""
        self._aws.call("secretsmanager", "tag_resource", SecretId=observed.external_id, Tags=tag_list({OWNER_TAG: target.owner}))
        self._known.pop(observed.external_id, None)
        return replace(observed, owner=target.owner)

    def locatable(self, target: Target[ManagedSecret]) -> bool:
        """By its name, whatever key it is to have."""
        return bool(target.external_id) or not unresolved(target.want().name)

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner tag."""
        return owned_nodes({arn: found.tags.get(OWNER_TAG, "") for arn, found in self._listing.get(STORM_SECONDS).items()}, identity)

    def _answer(self, target: Target[ManagedSecret], listed: Mapping[str, Description]) -> Observed[ManagedSecret] | None:
        if not target.external_id and unresolved(target.want().name):
            return None
        there, known = listed.get(target.external_id), self._known.get(target.external_id)
        if there is None or known is None or not known.agrees(there):
            known = self._describe(target.external_id or target.want().name)
        return None if known is None or known.deleted else self._observed(target, known)

    def _describe(self, secret_id: str) -> Description | None:
        answer = self._aws.attempt("secretsmanager", "describe_secret", _GONE, SecretId=secret_id)
        if isinstance(answer, Refusal):
            self._forget(secret_id)
            return None
        found = Description.of(answer)
        self._known[found.arn] = found
        return found

    def _forget(self, arn: str) -> None:
        self._known.pop(arn, None)
        self._values.pop(arn, None)
        self._listing.drop(arn)

    def _list(self) -> dict[str, Description]:
        pages = self._aws.pages("secretsmanager", "list_secrets", MaxResults=100, Filters=[{"Key": "tag-key", "Values": [OWNER_TAG]}])
        found = (Description.of(entry) for page in pages for entry in page.get("SecretList", []))
        return {each.arn: each for each in found}

    def _make(self, target: Target[ManagedSecret], token: str) -> Description:
        """One call makes the secret and its first version, whose id is the token: a crash leaves both or neither."""
        want = target.want()
        key = {"KmsKeyId": want.kms_key} if want.kms_key else {}
        answer = self._aws.attempt(
            "secretsmanager",
            "create_secret",
            ("ResourceExistsException", _SCHEDULED),
            Name=want.name,
            Description=want.description,
            ClientRequestToken=token,
            SecretString=json.dumps({"username": want.username, "password": self._aws.learn(generated(want.length))}),
            Tags=tag_list(tag_map(target.owner, want.tags)),
            **key,
        )
        if isinstance(answer, Refusal) and answer.code == _SCHEDULED and "delet" not in answer.message:
            raise Terminal(answer.code, f"{want.name}: {answer.message}")
        there = None if isinstance(answer, Refusal) else self._describe(answer["ARN"])
        if there is None:
            raise Transient("NotVisibleYet", f"the secret {want.name} is there, but cannot be seen yet")
        return there

    def _renewed(self, target: Target[ManagedSecret], there: Description) -> Description:
        """Another value, and nothing noted of the one before. The value first: without the tag nobody would know any more that the one before
        must not be used."""
        want = target.want()
        value = json.dumps({"username": want.username, "password": self._aws.learn(generated(want.length))})
        self._aws.call("secretsmanager", "put_secret_value", SecretId=there.arn, SecretString=value)
        notes = sorted(key for key in there.tags if key.startswith(_NOTES) and key != OWNER_TAG)
        self._aws.call("secretsmanager", "untag_resource", SecretId=there.arn, TagKeys=notes)
        found = self._describe(there.arn)
        if found is None:
            raise Transient("NotVisibleYet", f"the secret {there.name} is there, but cannot be seen yet")
        return found

    def _observed(self, target: Target[ManagedSecret], there: Description) -> Observed[ManagedSecret]:
        tagged, want = Tagged.of(there.tags), target.desired
        value = ManagedSecret(
            name=there.name,
            tags=tagged.rest,
            username=want.username if want else "",
            description=_LET_GO if there.retired else there.text,
            kms_key=key_as_wanted(want.kms_key if want else "", there.kms_key),
            length=want.length if want else 0,
        )
        attributes = {"arn": there.arn, "name": there.name}
        if there.retired:
            return Observed(there.arn, value, owner=tagged.owner, attributes=attributes, about=there.arn, raw=there)
        if not there.current:
            return Observed(there.arn, value, State.FAILED, "NoValue", "no version is labelled AWSCURRENT", tagged.owner, attributes=attributes)
        attributes["currentVersion"] = there.current
        observed = Observed(there.arn, value, owner=tagged.owner, attributes=attributes, about=there.arn)
        if tagged.owner != target.owner:
            return observed  # what is not ours is not read
        if (secret := self._value(there)) is None:
            return replace(observed, state=State.FAILED, reason="UnreadableValue", message="the current version is no JSON with a password")
        return replace(observed, secrets={"password": secret})

    def _value(self, there: Description) -> SecretValue | None:
        known = self._values.get(there.arn)
        if known is None or known.version != there.current:
            answer = self._aws.attempt("secretsmanager", "get_secret_value", _GONE, SecretId=there.arn, VersionId=there.current)
            if isinstance(answer, Refusal):
                raise Transient("ChangedMeanwhile", f"version {there.current} of {there.name} cannot be read: {answer.message}")
            password = password_in(answer.get("SecretString") or "")
            known = self._values[there.arn] = _Value(there.current, SecretValue(self._aws.learn(password), there.current) if password else None)
        return known.secret


def generated(length: int) -> str:
    """A password of characters that an AUTH token may hold."""
    if not SHORTEST <= length <= LONGEST:
        raise Terminal("InvalidLength", f"a generated password has {SHORTEST} to {LONGEST} characters, not {length}")
    return "".join(secrets.choice(TOKEN_CHARACTERS) for _ in range(length))


def password_in(text: str) -> str:
    """The password of a secret's value; "" where it has none."""
    try:
        document = json.loads(text)
    except ValueError:
        return ""
    password = document.get("password") if isinstance(document, dict) else None
    return password if isinstance(password, str) else ""


def key_as_wanted(want: str, have: str) -> str:
    """The key as it is wanted where that names the same one: AWS answers with an id, an ARN or an alias's ARN, whatever it was given."""
    return want if _bare(want) == _bare(have) else have


def _bare(key: str) -> str:
    """`alias/name` or the bare key id."""
    name = key.split(":", 5)[-1].removeprefix("key/")
    return "" if name == "alias/aws/secretsmanager" else name
