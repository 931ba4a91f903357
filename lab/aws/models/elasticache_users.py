"""ElastiCache users and user groups (RBAC): two passwords, states, members that cannot go.

ElastiCache API reference, CreateUser, ModifyUser ("Passwords: you are allowed up to two"), DeleteUser, CreateUserGroup (DefaultUserRequired; Valkey
needs none), ModifyUserGroup, DeleteUserGroup ("must first be disassociated"); User Guide, "Role-Based Access Control".
"""

from __future__ import annotations

from functools import partial
from typing import Any

from lab.aws.models.elasticache_rules import check_name, clash, refuse
from lab.aws.models.elasticache_state import Desk, Store, User, UserGroup, page
from lab.aws.wire import AwsFault

_MOST_PASSWORDS = 2
_USER_QUOTA, _GROUP_QUOTA = 1000, 100


def find_user(store: Store, name: str) -> User:
    try:
        return store.users[name.lower()]
    except KeyError:
        raise AwsFault("UserNotFound", f"User {name} not found.") from None


def find_group(store: Store, name: str) -> UserGroup:
    try:
        return store.user_groups[name.lower()]
    except KeyError:
        raise AwsFault("UserGroupNotFound", f"User group {name} not found.") from None


def default_user(store: Store) -> User:
    return User("default", "default", store.arn("user", "default"), "redis", "on ~* +@all", (), "no-password")


def _credentials(params: dict[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    """How a user proves who it is: mode and passwords; None where the call does not say."""
    mode = params.get("AuthenticationMode", {})
    passwords = tuple(params.get("Passwords", mode.get("Passwords", ())))
    kind = mode.get("Type") or ("password" if passwords else "no-password-required" if params.get("NoPasswordRequired") else "")
    if not kind:
        return None
    if kind == "password":
        if not 1 <= len(set(passwords)) == len(passwords) <= _MOST_PASSWORDS:
            raise refuse("One or two different passwords are needed.")
        if any(not 16 <= len(password) <= 128 for password in passwords):
            raise refuse("Passwords must be 16 to 128 characters long.")
    elif passwords:
        raise clash(f"Passwords cannot be used together with {kind}.")
    return ("no-password" if kind == "no-password-required" else kind), passwords


def _groups_of(store: Store, user: User) -> list[UserGroup]:
    return [group for _, group in sorted(store.user_groups.items()) if user.id in group.users]


def _user(store: Store, user: User) -> dict[str, Any]:
    told: dict[str, Any] = {"UserId": user.id, "UserName": user.name, "Status": user.status, "Engine": user.engine, "MinimumEngineVersion": "6.0"}
    told |= {"AccessString": user.access, "UserGroupIds": [group.id for group in _groups_of(store, user)], "ARN": user.arn}
    authentication: dict[str, Any] = {"Type": user.mode} | ({"PasswordCount": len(user.passwords)} if user.mode == "password" else {})
    return told | {"Authentication": authentication}


def _group(store: Store, group: UserGroup) -> dict[str, Any]:
    return {
        "UserGroupId": group.id,
        "Status": group.status,
        "Engine": group.engine,
        "UserIds": list(group.users),
        "MinimumEngineVersion": "6.0",
        "PendingChanges": dict(group.pending),
        "ReplicationGroups": sorted(other.id for other in store.groups.values() if group.id in other.user_groups),
        "ARN": group.arn,
    }


async def create_user(desk: Desk) -> dict[str, Any]:
    params, store = desk.params, desk.store
    identifier = check_name(params["UserId"], "UserId")
    if identifier in store.users:
        raise AwsFault("UserAlreadyExists", f"User {identifier} already exists.")
    if len(store.users) >= store.quota("elasticache.users", _USER_QUOTA):
        raise AwsFault("UserQuotaExceeded", "The request cannot be processed because it would exceed the allowed number of users.")
    credentials = _credentials(params)
    if credentials is None:
        raise clash("Passwords, NoPasswordRequired or AuthenticationMode is needed.")
    engine = params["Engine"].lower()
    if engine not in ("redis", "valkey"):
        raise refuse(f"Engine {engine} is not supported.")
    user = User(identifier, params["UserName"], store.arn("user", identifier), engine, params["AccessString"], credentials[1], credentials[0])
    store.users[identifier] = user
    store.tag(user.arn, params.get("Tags", []))
    return _user(store, user)


async def describe_users(desk: Desk) -> dict[str, Any]:
    params, store = desk.params, desk.store
    chosen = [find_user(store, params["UserId"])] if params.get("UserId") else [user for _, user in sorted(store.users.items())]
    if engine := params.get("Engine"):
        chosen = [user for user in chosen if user.engine == engine.lower()]
    for entry in params.get("Filters", []):
        names = {"user-id": "id", "user-name": "name", "engine": "engine", "status": "status"}
        chosen = [user for user in chosen if getattr(user, names.get(entry["Name"], "id")) in entry["Values"]]
    return page(params, "Users", [_user(store, user) for user in chosen])


def _active(user: User) -> None:
    if user.status != "active":
        raise AwsFault("InvalidUserState", f"User {user.id} is {user.status}.")


def _busy(desk: Desk, group: UserGroup, seconds: float) -> None:
    group.status, group.until = "modifying", desk.lab.clock() + seconds


async def modify_user(desk: Desk) -> dict[str, Any]:
    params, store = desk.params, desk.store
    user = find_user(store, params["UserId"])
    _active(user)
    if user.id == "default":
        raise refuse("The default user cannot be modified.")
    credentials = _credentials(params)
    access = params.get("AccessString", user.access)
    if more := params.get("AppendAccessString"):
        access = f"{access} {more}"
    engine = params.get("Engine", user.engine)

    def deed() -> None:
        user.access, user.engine = access, engine
        if credentials is not None:
            user.mode, user.passwords = credentials

    seconds = desk.lab.settings.elasticache_user_s
    user.status, user.until, user.done = "modifying", desk.lab.clock() + seconds, deed
    for group in _groups_of(store, user):
        _busy(desk, group, seconds)
    desk.wake(seconds)
    return _user(store, user)


async def delete_user(desk: Desk) -> dict[str, Any]:
    store = desk.store
    user = find_user(store, desk.params["UserId"])
    _active(user)
    if user.id == "default":
        raise refuse("The default user cannot be deleted.")
    groups = _groups_of(store, user)
    if groups and user.name == "default":
        raise AwsFault("DefaultUserAssociatedToUserGroup", "The default user is associated to a user group and cannot be deleted.")

    def deed() -> None:
        store.users.pop(user.id, None)
        store.lab.tagged.pop(user.arn, None)
        for group in groups:
            group.users = [name for name in group.users if name != user.id]

    seconds = desk.lab.settings.elasticache_user_s
    user.status, user.until, user.done = "deleting", desk.lab.clock() + seconds, deed
    for group in groups:
        _busy(desk, group, seconds)
    desk.wake(seconds)
    return _user(store, user)


def _check_users(store: Store, engine: str, wanted: list[str]) -> None:
    users = [find_user(store, name) for name in wanted]
    names = [user.name for user in users]
    if len(set(names)) != len(names):
        raise AwsFault("DuplicateUserName", "A user with this username already exists in the user group.")
    if engine == "redis" and "default" not in names:
        raise AwsFault("DefaultUserRequired", "You must add a user with the name default to the user group.")
    if engine == "redis" and any(user.engine != "redis" for user in users):
        raise clash("A user group of engine redis takes users of engine redis only.")


async def create_group(desk: Desk) -> dict[str, Any]:
    params, store = desk.params, desk.store
    identifier, engine = check_name(params["UserGroupId"], "UserGroupId"), params["Engine"].lower()
    if identifier in store.user_groups:
        raise AwsFault("UserGroupAlreadyExists", f"User group {identifier} already exists.")
    if len(store.user_groups) >= store.quota("elasticache.user_groups", _GROUP_QUOTA):
        raise AwsFault("UserGroupQuotaExceeded", "The number of user groups exceeds the quota.")
    users = [name.lower() for name in params.get("UserIds", [])]
    _check_users(store, engine, users)
    group = UserGroup(identifier, store.arn("usergroup", identifier), engine, users, "creating", desk.lab.clock() + desk.lab.settings.elasticache_user_s)
    store.user_groups[identifier] = group
    store.tag(group.arn, params.get("Tags", []))
    desk.wake(desk.lab.settings.elasticache_user_s)
    return _group(store, group)


async def describe_groups(desk: Desk) -> dict[str, Any]:
    store, name = desk.store, desk.params.get("UserGroupId")
    chosen = [find_group(store, name)] if name else [group for _, group in sorted(store.user_groups.items())]
    return page(desk.params, "UserGroups", [_group(store, group) for group in chosen])


def _idle(group: UserGroup) -> None:
    if group.status != "active":
        raise AwsFault("InvalidUserGroupState", f"User group {group.id} is {group.status}.")


def _replace_users(group: UserGroup, wanted: list[str]) -> None:
    group.users, group.pending = wanted, {}


async def modify_group(desk: Desk) -> dict[str, Any]:
    params, store = desk.params, desk.store
    group = find_group(store, params["UserGroupId"])
    _idle(group)
    add = [name.lower() for name in params.get("UserIdsToAdd", [])]
    remove = [name.lower() for name in params.get("UserIdsToRemove", [])]
    if not add and not remove and "Engine" not in params:
        raise clash("UserIdsToAdd, UserIdsToRemove or Engine is needed.")
    if unknown := sorted(set(remove) - set(group.users)):
        raise AwsFault("UserNotFound", f"Users {unknown} are not in the user group.")
    if doubled := sorted(set(add) & set(group.users)):
        raise refuse(f"Users {doubled} are already in the user group.")
    wanted = [name for name in group.users if name not in remove] + add
    group.engine = params.get("Engine", group.engine)
    _check_users(store, group.engine, wanted)
    group.pending = {name: value for name, value in (("UserIdsToAdd", add), ("UserIdsToRemove", remove)) if value}
    _busy(desk, group, desk.lab.settings.elasticache_user_s)
    group.done = partial(_replace_users, group, wanted)
    desk.wake(desk.lab.settings.elasticache_user_s)
    return _group(store, group)


async def delete_group(desk: Desk) -> dict[str, Any]:
    store = desk.store
    group = find_group(store, desk.params["UserGroupId"])
    _idle(group)
    users = [other.id for other in store.groups.values() if group.id in other.user_groups]
    if users:
        raise AwsFault("InvalidUserGroupState", f"User group {group.id} is associated with {', '.join(users)} and must be disassociated first.")

    def deed() -> None:
        store.user_groups.pop(group.id, None)
        store.lab.tagged.pop(group.arn, None)

    group.status, group.until, group.done = "deleting", desk.lab.clock() + desk.lab.settings.elasticache_user_s, deed
    desk.wake(desk.lab.settings.elasticache_user_s)
    return _group(store, group)
