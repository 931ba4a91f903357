"""Who may log in to a cache: secrets, users, their rotation, what clients are told, and how they move from a token to users and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from securebase.api.cache import CacheClusterSpec
from securebase.core.errors import Terminal
from securebase.core.graph import Node, Ref, Role, SecretFrom
from securebase.core.kind import Context, Facts
from securebase.kinds.cache.names import CONNECTION, GROUP, cache_id, connection_name
from securebase.resources.elasticache.login_model import EVERYTHING, LoginMove, LoginState, Stage, Way
from securebase.resources.elasticache.rotation import Credential, CredentialRetirement
from securebase.resources.elasticache.rotation_request import asked
from securebase.resources.elasticache.user_model import ID_LENGTH, User, UserGroup, default_user
from securebase.resources.kubernetes.model import Entry, ObjectSecret, OwnerReference, Template
from securebase.resources.secretsmanager.model import ManagedSecret

LOGIN: Final = "login"
"""The look at how the cache lets clients in; nothing is composed without its answer."""

SECRET: Final = "secret"
USERS: Final = "users"
MOVE: Final = "login-move"
"""Begun, before clients are told."""
TOLD: Final = "login-told"
"""Since when they know."""
_DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class _Login:
    """One secret and whose it is. The AUTH token is the secret of the user `default`, whom a cache may be open to as well."""

    name: str

    def node(self, what: str) -> str:
        return what if self.name == _DEFAULT else f"{what}-{self.name}"


@dataclass(frozen=True, slots=True)
class Access:
    """How clients log in now.

    published  whose secrets clients are told, the first one's under the plain keys
    leaving    whose secrets go on working for the rest of their grace
    users      users the cache is open to, by name, with their access strings; empty while it is on a token, or open
    moving     users or token, while clients move there
    """

    published: tuple[_Login, ...] = ()
    leaving: tuple[_Login, ...] = ()
    users: Mapping[str, str] | None = None
    moving: str = ""

    @property
    def on_users(self) -> bool:
        return self.users is not None

    @property
    def has_token(self) -> bool:
        """Whether the cache itself asks for the token."""
        return self.users is None and bool(self.published)


def secret_node(spec: CacheClusterSpec) -> str:
    """The secret of whoever is published first."""
    return _Login(spec.auth.users[0].name if spec.auth.mode == "rbac" else _DEFAULT).node(SECRET)


def login_node(spec: CacheClusterSpec, context: Context) -> Node:
    """The look that decides how things are to stand."""
    request, immediate = _asked(context)
    way = {"token": Way.TOKEN, "rbac": Way.USERS, "none": Way.OPEN}[spec.auth.mode]
    state = LoginState(
        secret=_secret_name(_Login(_DEFAULT), context),
        user_group=cache_id(context.identity, USERS, ID_LENGTH),
        way=way.value,
        shares_token=any(user.name == _DEFAULT for user in spec.auth.users),
        grace_seconds=spec.rotation.grace.seconds,
        request=request,
        immediate=immediate,
    )
    return Node(LOGIN, "elasticache/login-state", state, role=Role.EXTERNAL)


def access_of(spec: CacheClusterSpec, facts: Facts) -> Access:
    """How clients are to log in now, by what is known of the cache. Terminal where it asks for a secret and is to stop doing so."""
    known = facts.nodes.get(LOGIN, {})
    wanted = {user.name: user.access_string for user in spec.auth.users}
    users, token = tuple(map(_Login, wanted)), _Login(_DEFAULT)
    match known.get("stage", {"token": Stage.TOKEN, "rbac": Stage.USERS, "none": Stage.OPEN}[spec.auth.mode]):
        case Stage.TOKEN:
            return Access((token,))
        case Stage.USERS:
            return Access(users, users=wanted)
        case Stage.TO_USERS:
            return Access(users, (token,), {**wanted, _DEFAULT: EVERYTHING}, Way.USERS.value)
        case Stage.TO_TOKEN:
            there: dict[str, str] = json.loads(known.get("users", "{}"))
            return Access((token,), tuple(_Login(name) for name in there if name != _DEFAULT), {**there, _DEFAULT: EVERYTHING}, Way.TOKEN.value)
        case Stage.STAYS:
            raise Terminal("LoginStays", "auth.mode none: the cache asks clients for a secret, and cannot stop that; set token or rbac, or make another object")
        case _:
            return Access()


def speaks_tls(spec: CacheClusterSpec, facts: Facts) -> bool:
    """What clients are told, by what the cache does now: that it stops or begins may wait for an approval, and takes minutes. While it takes both
    kinds of clients (`preferred`), they are told what is wanted in the end."""
    wanted = spec.encryption.effective_transit_mode is not None
    match facts.nodes.get(GROUP, {}).get("transit"):
        case "off":
            return False
        case "required":
            return True
        case _:
            return wanted


def access_nodes(spec: CacheClusterSpec, access: Access, context: Context, tls: bool) -> Iterator[Node]:
    """Secrets with their rotation, users, the connection Secret, and the note that clients were told to move."""
    for login in (*access.published, *access.leaving):
        yield Node(login.node(SECRET), "secretsmanager/secret", _secret(login, context))
    if access.users is not None:
        yield from _user_nodes(spec, access, access.users, context)
    for login in access.published:
        # What could not be given its password, or not be switched on, is not published.
        able = frozenset({f"user-{login.name}"}) if access.on_users else frozenset[str]()
        yield Node(login.node("credential"), "elasticache/credential", _credential(spec, access, login, context), after=able)
    begun = LoginMove(Ref(SECRET, "arn"), access.moving, request=_asked(context)[0])
    if access.moving:
        yield Node(MOVE, "elasticache/login-move", begun)
    connection = _connection(access.published, context, tls)
    yield Node(CONNECTION, "kubernetes/secret", connection, after=frozenset({MOVE}) if access.moving else frozenset())
    told = frozenset({CONNECTION})
    for login in access.published:
        yield Node(login.node("retirement"), "elasticache/credential-retirement", _retirement(spec, access, login, context), after=told)
    if access.moving:
        yield Node(TOLD, "elasticache/login-move", replace(begun, told=True), after=told)


def _secret_name(login: _Login, context: Context) -> str:
    return context.identity.external_name(login.node(SECRET), 200)


def _secret(login: _Login, context: Context) -> ManagedSecret:
    whose = "token (password of user default)" if login.name == _DEFAULT else f"password of user {login.name}"
    return ManagedSecret(
        name=_secret_name(login, context),
        tags=context.tags,
        username=login.name,
        description=f"{whose} of CacheCluster {context.identity.namespace}/{context.identity.name}",
    )


def _user_nodes(spec: CacheClusterSpec, access: Access, users: Mapping[str, str], context: Context) -> Iterator[Node]:
    """Whoever logs in without a name is nobody, unless `default` is among the users. Nobody rotates the password of one that is leaving."""
    leaving = {login.name for login in access.leaving}
    for name, access_string in users.items():
        user = _user(spec, name, access_string, context)
        if access.moving == Way.USERS and name in leaving:
            user = replace(user, password_version=Ref(_Login(name).node(SECRET), "currentVersion"))
        yield Node(f"user-{name}", "elasticache/user", user)
    group_id = cache_id(context.identity, USERS, ID_LENGTH)
    if _DEFAULT not in users:
        nobody = replace(default_user(group_id, spec.engine, context.tags), user_id=cache_id(context.identity, f"user-{_DEFAULT}", ID_LENGTH))
        yield Node(f"user-{_DEFAULT}", "elasticache/user", nobody)
    ids = frozenset(Ref(f"user-{name}", "id") for name in {*users, _DEFAULT})
    yield Node(USERS, "elasticache/user-group", UserGroup(group_id, spec.engine, context.tags, ids))


def _user(spec: CacheClusterSpec, name: str, access_string: str, context: Context) -> User:
    return User(
        user_id=cache_id(context.identity, f"user-{name}", ID_LENGTH),
        user_name=name,
        engine=spec.engine,
        tags=context.tags,
        access_string=access_string,
        passwords=(SecretFrom(_Login(name).node(SECRET), "password"),),
    )


def _credential(spec: CacheClusterSpec, access: Access, login: _Login, context: Context) -> Credential:
    request, immediate = _asked(context)
    return Credential(
        group=Ref(GROUP, "id"),
        secret=Ref(login.node(SECRET), "arn"),
        user=Ref(f"user-{login.name}", "id") if access.on_users else "",
        every_seconds=spec.rotation.every.seconds if spec.rotation.every is not None else 0,
        request=request,
        immediate=immediate,
    )


def _retirement(spec: CacheClusterSpec, access: Access, login: _Login, context: Context) -> CredentialRetirement:
    request, immediate = _asked(context)
    return CredentialRetirement(
        group=Ref(GROUP, "id"),
        secret=Ref(login.node(SECRET), "arn"),
        user=Ref(f"user-{login.name}", "id") if access.on_users else "",
        version=Ref(login.node("credential"), "version"),
        published_at=Ref(CONNECTION, "publishedAt"),
        grace_seconds=spec.rotation.grace.seconds,
        request=request,
        immediate=immediate,
    )


def _asked(context: Context) -> tuple[str, bool]:
    """`securebase.io/rotate=<token>` or `<token>,immediate`."""
    return asked(context.annotations.get("rotate", ""))


def _connection(logins: tuple[_Login, ...], context: Context, tls: bool) -> ObjectSecret:
    """What a client needs. The first login's stands under the plain keys, each user's of several under `<user>-username`, `<user>-password`."""
    identity = context.identity
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
