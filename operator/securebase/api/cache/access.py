"""Who may read what is in a cache: encryption, the AUTH token or the users, and when secrets change."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen
from pydantic import StringConstraints

from securebase.api.base import ApiModel, ListMap, Matches, Rule, Rules, matches
from securebase.api.cel import count
from securebase.api.scalars import Duration

KmsKeyArn = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    # An alias or a bare id comes back as the key's ARN, and the key of a cache cannot be changed: only one spelling is safe.
    Matches(
        r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$",
        "encryption.kmsKeyId must be the ARN of a key, arn:aws:kms:eu-central-1:123456789012:key/...; an alias may point elsewhere tomorrow",
    ),
]
UserName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40),
    Matches(r"^[a-z](-?[a-z0-9])*$", "a user's name has lower case letters, digits and single '-', and starts with a letter: app, app-reader"),
]
AccessString = Annotated[
    str,
    StringConstraints(min_length=1, max_length=512),
    Matches(r"^(on|off)( [^ ]+)*$", "accessString starts with on or off, its parts one space apart: 'on ~app:* +@read +@write -@dangerous'"),
]

LEAST_GRACE_SECONDS = 600
# Passwords are the operator's: ElastiCache takes them as parameters of the call and refuses them here ("Role-Based Access Control").
_PASSWORD_EXPRESSION = "^([^ ]+ )+([><#!].*|nopass|resetpass|reset)( .*)?$"


class Encryption(ApiModel):
    """Encryption at rest and in transit. Both are on; a prod cache cannot switch them off."""

    at_rest: bool = True
    """Disks and snapshots. A change is a replacement."""
    kms_key_id: KmsKeyArn | None = None
    """ARN of a customer key for the disks; ElastiCache's own key if omitted. A change is a replacement."""
    in_transit: bool = True
    """TLS between clients and nodes, and between nodes."""
    transit_mode: Literal["preferred", "required"] | None = None
    """required: TLS only, also if omitted. preferred: lets clients without TLS in, while they are moved."""

    rules: ClassVar[Rules] = (
        Rule(
            cel="!has(self.kmsKeyId) || !has(self.atRest) || self.atRest",
            holds=lambda encryption: encryption.kms_key_id is None or encryption.at_rest,
            message="encryption.kmsKeyId encrypts nothing with atRest: false; remove one of them",
            field=".kmsKeyId",
        ),
        Rule(
            cel="!has(self.transitMode) || !has(self.inTransit) || self.inTransit",
            holds=lambda encryption: encryption.transit_mode is None or encryption.in_transit,
            message="encryption.transitMode means nothing with inTransit: false; remove one of them",
            field=".transitMode",
        ),
    )

    @property
    def effective_transit_mode(self) -> Literal["preferred", "required"] | None:
        """None where TLS is off."""
        return (self.transit_mode or "required") if self.in_transit else None


class User(ApiModel):
    """One user of role-based access. The password is generated and kept in Secrets Manager."""

    name: UserName
    """Name to log in with. default is who logs in without a name; the operator switches it off unless it is listed."""
    access_string: AccessString
    """Commands and keys in the engine's ACL language, like 'on ~app:* +@read +@write -@dangerous'."""

    rules: ClassVar[Rules] = (
        Rule(
            cel=f"!self.accessString.matches(r'{_PASSWORD_EXPRESSION}')",
            holds=lambda user: not matches(_PASSWORD_EXPRESSION, user.access_string),
            message="accessString deals with passwords (>, <, #, !, nopass, resetpass or reset); remove that, each user's password is generated and rotated",
            field=".accessString",
        ),
    )


class Auth(ApiModel):
    """How clients prove who they are."""

    mode: Literal["token", "rbac", "none"] = "token"
    """token: one AUTH token, generated. rbac: the users below, each with a generated password. none: whoever gets in, not in prod."""
    users: Annotated[tuple[User, ...], MaxLen(30), ListMap("name")] = ()
    """With rbac: the users. The first one's credentials are those of the connection Secret."""

    rules: ClassVar[Rules] = (
        Rule(
            cel=f"((has(self.mode) && self.mode == 'rbac') == ({count('self.users')} > 0))",
            holds=lambda auth: (auth.mode == "rbac") == bool(auth.users),
            message="auth.users belong to mode: rbac, which needs at least one; set the mode, or add or remove users",
            field=".users",
        ),
    )


def _cel_seconds(path: str) -> str:
    """Seconds of a Duration: CEL's own `duration()` knows no days."""
    last = f"size({path}) - 1"
    return f"int({path}.substring(0, {last})) * {{'s': 1, 'm': 60, 'h': 3600, 'd': 86400}}[{path}.substring({last})]"


def _cel_is_duration(path: str) -> str:
    return f"{path}.matches(r'{Duration.expression}')"


_GRACE = "(has(self.grace) ? self.grace : '24h')"


class Rotation(ApiModel):
    """When secrets change. securebase.io/rotate asks for one change now, whatever stands here."""

    every: Duration | None = None
    """How often; only on request if omitted."""
    grace: Duration = Duration("24h")
    """How long the old secret is still good, so that clients can move; at least 10m."""

    rules: ClassVar[Rules] = (
        Rule(
            cel=f"!{_cel_is_duration(_GRACE)} || {_cel_seconds(_GRACE)} >= {LEAST_GRACE_SECONDS}",
            holds=lambda rotation: rotation.grace.seconds >= LEAST_GRACE_SECONDS,
            message="rotation.grace is less than 10m, and clients that still have the old secret would be locked out; raise it "
            "(for a compromised secret ask for securebase.io/rotate=<token>,immediate)",
            field=".grace",
        ),
        Rule(
            cel=f"""!has(self.every) || !{_cel_is_duration("self.every")} || !{_cel_is_duration(_GRACE)}
                || {_cel_seconds("self.every")} > {_cel_seconds(_GRACE)}""",
            holds=lambda rotation: rotation.every is None or rotation.every.seconds > rotation.grace.seconds,
            message="rotation.every is not longer than grace, and no rotation starts within the grace of another; raise every or lower grace",
            field=".every",
        ),
    )
