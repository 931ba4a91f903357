"""AwsAccounts as the operator knows them: which one an object uses, whether it may, and whether the way in works."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from securebase.api.account import AwsAccount
from securebase.clients.aws import AwsAccountConfig, AwsClients, CallerIdentity
from securebase.core.errors import ReconcileError, ReferenceNotFound, Terminal

DEFAULT = "default"
VERIFIED_SECONDS, REFUSED_SECONDS = 300.0, 10.0


@dataclass(frozen=True, slots=True)
class Account:
    """One way into AWS. `name` is "" for the ambient credentials."""

    name: str
    config: AwsAccountConfig
    region: str
    tags: Mapping[str, str] = field(default_factory=dict)
    namespaces: tuple[str, ...] = ("*",)

    def allows(self, namespace: str) -> bool:
        """Whether objects of a namespace may use it."""
        return "*" in self.namespaces or namespace in self.namespaces


def account_of(body: Mapping[str, Any]) -> Account:
    """From an AwsAccount as the API server holds it."""
    document = AwsAccount.model_validate({name: value for name, value in body.items() if name != "status"})
    spec = document.spec
    config = AwsAccountConfig(
        account_id=spec.account_id, role_arn=spec.role_arn or "", external_id=spec.external_id or "", endpoint_url=spec.endpoint_url or "", region=spec.region
    )
    return Account(document.metadata.name, config, spec.region, dict(spec.default_tags), tuple(spec.allowed_namespaces))


def ambient_account() -> Account:
    """The operator's own credentials and region."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return Account("", AwsAccountConfig(region=region), region)


class Accounts:
    """Every AwsAccount of the cluster. Thread-safe."""

    def __init__(self, clients: AwsClients, clock: Callable[[], float], known: Mapping[str, Account] | None = None) -> None:
        self._clients = clients
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, Account] = dict(known or {})
        self._broken: dict[str, str] = {}
        self._verified: dict[AwsAccountConfig, tuple[float, CallerIdentity | ReconcileError]] = {}

    def put(self, name: str, body: Mapping[str, Any]) -> None:
        """An AwsAccount was made or changed."""
        try:
            account = account_of(body)
        except ValidationError as error:
            with self._lock:
                self._broken[name] = "; ".join(problem["msg"] for problem in error.errors(include_url=False, include_input=False))
                self._known.pop(name, None)
            return
        with self._lock:
            self._broken.pop(name, None)
            if self._known.get(name) != account:
                self._known[name] = account
                self._verified.pop(account.config, None)

    def drop(self, name: str) -> None:
        """An AwsAccount is gone."""
        with self._lock:
            self._known.pop(name, None)
            self._broken.pop(name, None)

    def in_use(self, others: Iterable[Account]) -> frozenset[AwsAccountConfig]:
        """Every way in that an AwsAccount names now, and those of `others` that no AwsAccount names (the ambient ones)."""
        with self._lock:
            named = {account.config for account in self._known.values()}
        return frozenset(named | {account.config for account in others if not account.name})

    def find(self, name: str | None, namespace: str) -> Account:
        """The account an object names; ReferenceNotFound, or Terminal where the namespace may not use it."""
        with self._lock:
            account = self._known.get(name or DEFAULT)
            broken = self._broken.get(name or DEFAULT)
        if broken:
            raise Terminal("InvalidAccount", f"AwsAccount {name or DEFAULT}: {broken}")
        if account is None:
            if name is None:
                return ambient_account()
            raise ReferenceNotFound(f"AwsAccount {name} does not exist")
        if not account.allows(namespace):
            raise Terminal("NamespaceNotAllowed", f"AwsAccount {account.name} does not allow namespace {namespace}; add it to spec.allowedNamespaces")
        return account

    def verified(self, account: Account, *, again: bool = False) -> CallerIdentity:
        """Who AWS says we are; asked anew after five minutes, or ten seconds after a refusal."""
        now = self._clock()
        with self._lock:
            at, answer = self._verified.get(account.config, (float("-inf"), None))
        lasting = VERIFIED_SECONDS if isinstance(answer, CallerIdentity) else REFUSED_SECONDS
        if answer is None or again or now - at > lasting:
            try:
                answer = self._clients.verify_account(account.config)
            except ReconcileError as error:
                answer = error
            with self._lock:
                self._verified[account.config] = (now, answer)
        if isinstance(answer, ReconcileError):
            raise answer
        return answer
