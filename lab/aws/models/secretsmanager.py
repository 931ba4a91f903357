"""Secrets Manager, kept whole by the lab: versions by client token, staging labels, deletion windows.

ministack ignores CreateSecret's token, overwrites a version whose token comes again with another value, gives a version to a secret without
a value, and lists deprecated versions always. Secrets Manager API reference: CreateSecret and PutSecretValue (ClientRequestToken:
"ResourceExistsException ... you can't modify an existing version's secret value"), UpdateSecretVersionStage, ListSecretVersionIds (IncludeDeprecated),
GetSecretValue, DeleteSecret (7 to 30 days, ForceDeleteWithoutRecovery), RestoreSecret. Resource policies and passwords are ministack's.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.aws.context import Lab
from lab.aws.wire import AwsFault, Call, Reply, answer

_CURRENT, _PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
_MOST_LABELS = 20
_MOST_ITEMS = 100
_DAY_S = 86_400.0


@dataclass(slots=True)
class Version:
    id: str
    value: dict[str, Any]
    created: datetime
    stages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Secret:
    arn: str
    name: str
    created: datetime
    changed: datetime
    description: str = ""
    kms_key: str = ""
    versions: dict[str, Version] = field(default_factory=dict)
    # Lab's clock, and the date told.
    gone_at: float = 0.0
    deletion_date: datetime | None = None

    def staged(self, stage: str) -> Version | None:
        return next((version for version in self.versions.values() if stage in version.stages), None)

    def put(self, stage: str, version: Version) -> None:
        """The label moves; what was current becomes previous."""
        holder = self.staged(stage)
        if holder is version:
            return
        if holder is not None:
            holder.stages.discard(stage)
            if stage == _CURRENT:
                self.put(_PREVIOUS, holder)
        version.stages.add(stage)
        if stage == _CURRENT:
            version.stages.discard(_PREVIOUS)


def _value(params: dict[str, Any]) -> dict[str, Any]:
    given: dict[str, Any] = {name: params[name] for name in ("SecretString", "SecretBinary") if name in params}
    if len(given) > 1:
        raise AwsFault("InvalidParameterException", "You can't specify both SecretString and SecretBinary.")
    return given


def _missing(what: str = "secret") -> AwsFault:
    return AwsFault("ResourceNotFoundException", f"Secrets Manager can't find the specified {what}.")


class SecretsManager:
    services = frozenset({"secretsmanager"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._operations: dict[str, Callable[[Call], dict[str, Any]]] = {
            "CreateSecret": self._create,
            "DescribeSecret": self._describe,
            "GetSecretValue": self._get,
            "PutSecretValue": self._put,
            "UpdateSecret": self._update,
            "UpdateSecretVersionStage": self._move,
            "ListSecretVersionIds": self._versions,
            "ListSecrets": self._list,
            "DeleteSecret": self._delete,
            "RestoreSecret": self._restore,
            "TagResource": self._tag,
            "UntagResource": self._untag,
        }
        self.reset()

    def reset(self) -> None:
        # (account, region, name)
        self._secrets: dict[tuple[str, str, str], Secret] = {}

    async def before(self, call: Call) -> Reply | None:
        operation = self._operations.get(call.operation)
        if operation is None:
            return None
        for key, secret in list(self._secrets.items()):
            if secret.gone_at and self._lab.clock() >= secret.gone_at:
                self._forget(key)
        return answer(call, operation(call))

    async def after(self, call: Call, reply: Reply) -> Reply:
        return reply

    def _forget(self, key: tuple[str, str, str]) -> None:
        self._lab.tagged.pop(self._secrets.pop(key).arn, None)

    def _key(self, call: Call) -> tuple[str, str, str]:
        """By name, by ARN, or by an ARN without the six characters that AWS appends."""
        wanted = call.params["SecretId"]
        for key, secret in self._secrets.items():
            if key[:2] == (call.account, call.region) and wanted in (secret.name, secret.arn, secret.arn[:-7]):
                return key
        raise _missing()

    def _found(self, call: Call, deleted: bool = False) -> Secret:
        secret = self._secrets[self._key(call)]
        if secret.gone_at and not deleted:
            raise AwsFault("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
        return secret

    def _add(self, secret: Secret, params: dict[str, Any], stages: list[str]) -> Version:
        """A version under the call's token; the same token with the same value is the version there is."""
        identifier = params.get("ClientRequestToken") or str(uuid.uuid4())
        if not 32 <= len(identifier) <= 64:
            raise AwsFault("InvalidParameterException", "ClientRequestToken must be 32 to 64 characters long.")
        value = _value(params)
        known = secret.versions.get(identifier)
        if known is not None:
            if known.value != value:
                raise AwsFault(
                    "ResourceExistsException",
                    f"You can't use ClientRequestToken {identifier} because that value is already in use for a version of secret {secret.arn}.",
                )
            return known
        version = Version(identifier, value, datetime.now(UTC))
        secret.versions[identifier] = version
        # The first version is current whatever labels were asked for.
        for stage in stages if secret.staged(_CURRENT) else {*stages, _CURRENT}:
            secret.put(stage, version)
        secret.changed = version.created
        return version

    def _create(self, call: Call) -> dict[str, Any]:
        params, name = call.params, call.params["Name"]
        key = (call.account, call.region, name)
        known = self._secrets.get(key)
        if known is not None:
            if known.gone_at:
                raise AwsFault("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
            same = known.versions.get(params.get("ClientRequestToken", ""))
            if same is None or same.value != _value(params):
                raise AwsFault("ResourceExistsException", f"The operation failed because the secret {name} already exists.")
            return {"ARN": known.arn, "Name": name, "VersionId": same.id}
        now = datetime.now(UTC)
        suffix = hashlib.sha256(f"{key}{now}".encode()).hexdigest()[:6]
        secret = Secret(f"arn:aws:secretsmanager:{call.region}:{call.account}:secret:{name}-{suffix}", name, now, now)
        secret.description, secret.kms_key = params.get("Description", ""), params.get("KmsKeyId", "")
        told = {"ARN": secret.arn, "Name": name}
        if _value(params):
            told["VersionId"] = self._add(secret, params, [_CURRENT]).id
        self._secrets[key] = secret
        self._lab.tagged[secret.arn] = {tag["Key"]: tag.get("Value", "") for tag in params.get("Tags", [])}
        return told

    def _document(self, secret: Secret) -> dict[str, Any]:
        tags = self._lab.tagged.get(secret.arn, {})
        told: dict[str, Any] = {
            "ARN": secret.arn,
            "Name": secret.name,
            "LastChangedDate": secret.changed,
            "CreatedDate": secret.created,
            "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())],
        }
        optional = {"Description": secret.description, "KmsKeyId": secret.kms_key, "DeletedDate": secret.deletion_date}
        return told | {name: value for name, value in optional.items() if value}

    def _stages(self, secret: Secret) -> dict[str, list[str]]:
        return {version.id: sorted(version.stages) for version in secret.versions.values() if version.stages}

    def _describe(self, call: Call) -> dict[str, Any]:
        secret = self._found(call, deleted=True)
        return self._document(secret) | {"VersionIdsToStages": self._stages(secret)}

    def _get(self, call: Call) -> dict[str, Any]:
        params, secret = call.params, self._found(call)
        wanted, stage = params.get("VersionId"), params.get("VersionStage")
        version = secret.versions.get(wanted) if wanted else secret.staged(stage or _CURRENT)
        if version is None:
            raise _missing(f"secret value for {'VersionId: ' + wanted if wanted else 'staging label: ' + (stage or _CURRENT)}")
        if wanted and stage and stage not in version.stages:
            raise AwsFault("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
        told = {"ARN": secret.arn, "Name": secret.name, "VersionId": version.id, "VersionStages": sorted(version.stages), "CreatedDate": version.created}
        return told | version.value

    def _put(self, call: Call) -> dict[str, Any]:
        params, secret = call.params, self._found(call)
        if not _value(params):
            raise AwsFault("InvalidParameterException", "You must provide either SecretString or SecretBinary.")
        version = self._add(secret, params, params.get("VersionStages") or [_CURRENT])
        return {"ARN": secret.arn, "Name": secret.name, "VersionId": version.id, "VersionStages": sorted(version.stages)}

    def _update(self, call: Call) -> dict[str, Any]:
        params, secret = call.params, self._found(call)
        told = {"ARN": secret.arn, "Name": secret.name}
        if _value(params):
            told["VersionId"] = self._add(secret, params, [_CURRENT]).id
        secret.description, secret.kms_key = params.get("Description", secret.description), params.get("KmsKeyId", secret.kms_key)
        secret.changed = datetime.now(UTC)
        return told

    def _move(self, call: Call) -> dict[str, Any]:
        params, secret = call.params, self._found(call)
        stage, to, source = params["VersionStage"], params.get("MoveToVersionId"), params.get("RemoveFromVersionId")
        for identifier in (to, source):
            if identifier and identifier not in secret.versions:
                raise _missing(f"secret version: {identifier}")
        holder = secret.staged(stage)
        if stage == _CURRENT and not to:
            raise AwsFault("InvalidParameterException", "You can only move staging label AWSCURRENT to a different secret version. It can't be removed.")
        if source and (holder is None or holder.id != source):
            raise AwsFault("InvalidParameterException", f"The parameter RemoveFromVersionId can't be used: {source} does not have the label {stage}.")
        if to and holder is not None and holder.id not in (source, to):
            raise AwsFault(
                "InvalidParameterException",
                f"The staging label {stage} is currently attached to version {holder.id}. You must name it in RemoveFromVersionId to move the label.",
            )
        if to:
            if stage not in secret.versions[to].stages and len(secret.versions[to].stages) >= _MOST_LABELS:
                raise AwsFault("LimitExceededException", f"A version can have at most {_MOST_LABELS} staging labels.")
            secret.put(stage, secret.versions[to])
        elif holder is not None:
            holder.stages.discard(stage)
        secret.changed = datetime.now(UTC)
        return {"ARN": secret.arn, "Name": secret.name}

    def _versions(self, call: Call) -> dict[str, Any]:
        params, secret = call.params, self._found(call, deleted=True)
        chosen = [version for version in secret.versions.values() if version.stages or params.get("IncludeDeprecated")]
        rows = [{"VersionId": version.id, "VersionStages": sorted(version.stages), "CreatedDate": version.created} for version in chosen]
        return _page(params, "Versions", rows) | {"ARN": secret.arn, "Name": secret.name}

    def _list(self, call: Call) -> dict[str, Any]:
        params = call.params
        mine = [secret for key, secret in sorted(self._secrets.items()) if key[:2] == (call.account, call.region)]
        chosen = [secret for secret in mine if not secret.gone_at or params.get("IncludePlannedDeletion")]
        for entry in params.get("Filters", []):
            chosen = [secret for secret in chosen if self._fits(secret, entry["Key"], entry["Values"])]
        return _page(params, "SecretList", [self._document(secret) | {"SecretVersionsToStages": self._stages(secret)} for secret in chosen])

    def _fits(self, secret: Secret, key: str, values: list[str]) -> bool:
        """ListSecrets, Filters: prefixes; a `!` before a value negates it."""
        tags = self._lab.tagged.get(secret.arn, {})
        texts = {"name": [secret.name], "description": [secret.description], "tag-key": list(tags), "tag-value": list(tags.values())}
        candidates = texts.get(key, [secret.name, secret.description, *tags, *tags.values()])
        return any(any(text.startswith(value.removeprefix("!")) for text in candidates) != value.startswith("!") for value in values)

    def _delete(self, call: Call) -> dict[str, Any]:
        params = call.params
        days, force = params.get("RecoveryWindowInDays"), params.get("ForceDeleteWithoutRecovery")
        if days is not None and force:
            raise AwsFault("InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
        if days is not None and not 7 <= days <= 30:
            raise AwsFault("InvalidParameterException", "RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
        key = self._key(call)
        secret = self._secrets[key]
        now = datetime.now(UTC)
        if force:
            self._forget(key)
            return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": now}
        if secret.gone_at:
            raise AwsFault("InvalidRequestException", "You can't perform this operation on the secret because it was already scheduled for deletion.")
        secret.gone_at, secret.deletion_date = self._lab.clock() + (days or 30) * _DAY_S, now + timedelta(days=days or 30)
        return {"ARN": secret.arn, "Name": secret.name, "DeletionDate": secret.deletion_date}

    def _restore(self, call: Call) -> dict[str, Any]:
        secret = self._found(call, deleted=True)
        secret.gone_at, secret.deletion_date = 0.0, None
        return {"ARN": secret.arn, "Name": secret.name}

    def _tag(self, call: Call) -> dict[str, Any]:
        secret = self._found(call)
        self._lab.tagged.setdefault(secret.arn, {}).update({tag["Key"]: tag.get("Value", "") for tag in call.params["Tags"]})
        return {}

    def _untag(self, call: Call) -> dict[str, Any]:
        secret = self._found(call)
        for key in call.params["TagKeys"]:
            self._lab.tagged.get(secret.arn, {}).pop(key, None)
        return {}


def _page(params: dict[str, Any], name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    start, size = int(params.get("NextToken") or 0), min(int(params.get("MaxResults") or _MOST_ITEMS), _MOST_ITEMS)
    told: dict[str, Any] = {name: rows[start : start + size]}
    return told | ({"NextToken": str(start + size)} if start + size < len(rows) else {})
