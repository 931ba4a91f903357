"""What a cache's status tells of the rotation of its secrets, and what is said once about one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from securebase.api.cache import CacheClusterSpec
from securebase.core.kind import OwnStatus

_CREDENTIAL: Final = "credential"
_RETIREMENT: Final = "retirement"
_AT_REST: Final = "Done"
_WAITS_FOR_THE_OTHER: Final = ("", "GracePeriod")
"""Steps of a credential beside which that of the retirement tells more."""

_Told = dict[str, Any]


def rotation_status(spec: CacheClusterSpec, attributes: Mapping[str, Mapping[str, str]], status: Mapping[str, Any]) -> OwnStatus:
    """Of the AUTH token, or of each user. While none of them could be looked at, what was told stays; a request is acknowledged once all took it up."""
    found = {name: _login(attributes, name) for name in sorted(attributes) if name.partition("-")[0] == _CREDENTIAL}
    before = status.get("rotation") or {}
    if not found:
        return OwnStatus({"rotation": None if spec.auth.mode == "none" else before})
    users = [{"name": name.partition("-")[2] or "default", **told} for name, told in found.items()]
    rotation: _Told = found[_CREDENTIAL] if found.keys() == {_CREDENTIAL} else {"users": users}
    taken_up = {told.get("requested", "") for told in found.values()}
    every = len(taken_up) == 1 and len(found) == max(1, len(spec.auth.users))
    return OwnStatus({"rotation": rotation}, {"rotate": request} if every and (request := taken_up.pop()) else {}, tuple(_news(rotation, before)))


def _login(attributes: Mapping[str, Mapping[str, str]], name: str) -> _Told:
    credential = attributes[name]
    retirement = attributes.get(name.replace(_CREDENTIAL, _RETIREMENT, 1), {})
    step = credential.get("step", "")
    if step in _WAITS_FOR_THE_OTHER:
        step = retirement.get("step") or step
    told: _Told = {name: credential.get(name, "") for name in ("version", "requested", "startedAt")}
    told |= {"step": step or _AT_REST, "graceEndsAt": retirement.get("graceEndsAt", ""), "immediate": credential.get("immediate") == "true"}
    return {name: value for name, value in told.items() if value}


def _news(now: _Told, before: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """That somebody is cut off is said once, when it is taken up."""
    known = {(told.get("name"), told.get("requested")) for told in _each(before) if told.get("immediate")}
    for told in _each(now):
        if told.get("immediate") and (told.get("name"), told.get("requested")) not in known:
            whose = f"user {told['name']}: " if "name" in told else ""
            yield "ImmediateRotation", f"{whose}{told.get('requested')}: clients with the value before are cut off once the new one is published"


def _each(rotation: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple(rotation.get("users") or (rotation,))
