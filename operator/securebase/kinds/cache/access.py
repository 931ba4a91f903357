"""Who may log in to a cache: secrets, users, their rotation, and what clients are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from securebase.api.cache import CacheClusterSpec
from securebase.api.cache.access import User as UserSpec
from securebase.core.graph import Node, Ref, SecretFrom
from securebase.core.kind import Context
from securebase.kinds.cache.names import CONNECTION, GROUP, cache_id, connection_name
from securebase.resources.elasticache.rotation import Credential, CredentialRetirement
from securebase.resources.elasticache.user_model import ID_LENGTH, User, UserGroup, default_user
from securebase.resources.kubernetes.model import Entry, ObjectSecret, OwnerReference, Template
from securebase.resources.secretsmanager.model import ManagedSecret

SECRET: Final = "secret"
USERS: Final = "users"
_DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class _Login:
    """One secret and whose it is. The AUTH token is that of the user `default`."""

    name: str
    suffix: str = ""

    def node(self, what: str) -> str:
        return f"{what}{self.suffix}"


def secured(spec: CacheClusterSpec) -> bool:
    """Whether clients need a secret: only where nobody can come without TLS (CreateReplicationGroup, AuthToken)."""
    return spec.auth.mode != "none" and spec.encryption.effective_transit_mode == "required"


def access_nodes(spec: CacheClusterSpec, context: Context) -> Iterator[Node]:
    """Secrets with their rotation, users, and the connection Secret."""
    logins = tuple(_logins(spec))
    for login in logins:
        yield Node(login.node(SECRET), "secretsmanager/secret", _secret(spec, login, context))
    if spec.auth.mode == "rbac" and logins:
        yield from _user_nodes(spec, context)
    for login in logins:
        yield Node(login.node("credential"), "elasticache/credential", _credential(spec, login, context))
    yield Node(CONNECTION, "kubernetes/secret", _connection(spec, logins, context))
    for login in logins:
        yield Node(login.node("retirement"), "elasticache/credential-retirement", _retirement(spec, login, context), after=frozenset({CONNECTION}))


def _logins(spec: CacheClusterSpec) -> Iterator[_Login]:
    if not secured(spec):
        return
    if spec.auth.mode == "token":
        yield _Login(_DEFAULT)
        return
    for user in spec.auth.users:
        yield _Login(user.name, f"-{user.name}")


def _secret(spec: CacheClusterSpec, login: _Login, context: Context) -> ManagedSecret:
    whose = f"user {login.name}" if spec.auth.mode == "rbac" else "AUTH token"
    return ManagedSecret(
        name=context.identity.external_name(login.node(SECRET), 200),
        tags=context.tags,
        username=login.name,
        description=f"{whose} of CacheCluster {context.identity.namespace}/{context.identity.name}",
    )


def _user_nodes(spec: CacheClusterSpec, context: Context) -> Iterator[Node]:
    for user in spec.auth.users:
        yield Node(f"user-{user.name}", "elasticache/user", _user(spec, user, context))
    group_id = cache_id(context.identity, USERS, ID_LENGTH)
    names = {user.name for user in spec.auth.users}
    if _DEFAULT not in names:
        nobody = replace(default_user(group_id, spec.engine, context.tags), user_id=cache_id(context.identity, f"user-{_DEFAULT}", ID_LENGTH))
        yield Node(f"user-{_DEFAULT}", "elasticache/user", nobody)
    ids = frozenset(Ref(f"user-{name}", "id") for name in names | {_DEFAULT})
    yield Node(USERS, "elasticache/user-group", UserGroup(group_id, spec.engine, context.tags, ids))


def _user(spec: CacheClusterSpec, user: UserSpec, context: Context) -> User:
    return User(
        user_id=cache_id(context.identity, f"user-{user.name}", ID_LENGTH),
        user_name=user.name,
        engine=spec.engine,
        tags=context.tags,
        access_string=user.access_string,
        passwords=(SecretFrom(f"{SECRET}-{user.name}", "password"),),
    )


def _credential(spec: CacheClusterSpec, login: _Login, context: Context) -> Credential:
    request, immediate = _asked(context)
    return Credential(
        group=Ref(GROUP, "id"),
        secret=Ref(login.node(SECRET), "arn"),
        user=Ref(f"user-{login.name}", "id") if spec.auth.mode == "rbac" else "",
        every_seconds=spec.rotation.every.seconds if spec.rotation.every is not None else 0,
        request=request,
        immediate=immediate,
    )


def _retirement(spec: CacheClusterSpec, login: _Login, context: Context) -> CredentialRetirement:
    request, immediate = _asked(context)
    return CredentialRetirement(
        group=Ref(GROUP, "id"),
        secret=Ref(login.node(SECRET), "arn"),
        user=Ref(f"user-{login.name}", "id") if spec.auth.mode == "rbac" else "",
        version=Ref(login.node("credential"), "version"),
        published_at=Ref(CONNECTION, "publishedAt"),
        grace_seconds=spec.rotation.grace.seconds,
        request=request,
        immediate=immediate,
    )


def _asked(context: Context) -> tuple[str, bool]:
    """`securebase.io/rotate=<token>` or `<token>,immediate`."""
    token, _, how = context.annotations.get("rotate", "").partition(",")
    return token.strip(), how.strip() == "immediate"


def _connection(spec: CacheClusterSpec, logins: tuple[_Login, ...], context: Context) -> ObjectSecret:
    """What a client needs. The first login's stands under the plain keys, each user's of several under `<user>-username`, `<user>-password`."""
    identity = context.identity
    tls = spec.encryption.effective_transit_mode is not None
    scheme = "rediss" if tls else "redis"
    data: dict[str, Entry] = {
        "host": Ref(GROUP, "host"),
        "readerHost": Ref(GROUP, "readerHost"),
        "port": Ref(GROUP, "port"),
        "tls": "true" if tls else "false",
        "url": f"{scheme}://{Ref(GROUP, 'host')}:{Ref(GROUP, 'port')}",
    }
    for number, login in enumerate(logins):
        for prefix in {"", f"{login.name}-"} if number == 0 and len(logins) > 1 else {"" if number == 0 else f"{login.name}-"}:
            data[f"{prefix}username"] = login.name
            data[f"{prefix}password"] = SecretFrom(login.node("credential"), "password")
    if logins:
        data["url"] = Template(scheme + "://{username}:{password}@{host}:{port}")
    owner = OwnerReference("securebase.io/v1alpha1", identity.kind, identity.name, context.uid) if context.uid else None
    return ObjectSecret(identity.namespace, connection_name(identity.name), data, owner)
