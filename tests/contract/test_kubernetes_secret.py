"""Secrets that objects publish, against a real API server: keys, ownership, the time of publication."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

import pytest
from kubernetes import config as kube_config
from kubernetes.client import Configuration

from lab.kubernetes import ControlPlane
from securebase.clients.kubernetes import Kubernetes
from securebase.core.diff import Applied, Cause, diff
from securebase.core.driver import Depth, Driver, Observed, Target
from securebase.core.errors import ReferenceNotFound, Terminal, Transient, Waiting
from securebase.core.fields import Paths, SecretValue, graft
from securebase.core.graph import Ref, SecretFrom
from securebase.core.kind import PublishedLogin
from securebase.resources.kubernetes.driver import FOREIGN, OWNER, PUBLISHED_AT, ObjectSecretDriver, UncomparedSecretDriver
from securebase.resources.kubernetes.model import Entry, ObjectSecret, OwnerReference, Template
from securebase.runtime.secrets import ClusterSources
from tests.contract.harness import Contract, Lab, ShiftedClock, check_contract, delete, differences, observe, settled, write

URL = Template("rediss://{username}:{password}@{host}:6379")


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("kubernetes")) as plane:
        yield plane


@pytest.fixture
def api(plane: ControlPlane) -> Iterator[Kubernetes]:
    configuration = Configuration()
    kube_config.load_kube_config(str(plane.kubeconfig), client_configuration=configuration)
    configuration.retries = False
    client = Kubernetes(configuration)
    yield client
    client.close()


@pytest.fixture
def lab(api: Kubernetes, clock: ShiftedClock) -> Lab:
    """The drivers' way in is the cluster's client; nothing of it lags."""
    return Lab(lambda _: cast(Any, api), lambda *_: None, clock, cast(Any, None), "", False)


@pytest.fixture
def namespace(plane: ControlPlane) -> str:
    return str(plane.call("POST", "/api/v1/namespaces", {"metadata": {"generateName": "secrets-"}})["metadata"]["name"])


@pytest.fixture
def owner(plane: ControlPlane, namespace: str) -> OwnerReference:
    """Something that may own a Secret, as the garbage collector would find it."""
    body = {"metadata": {"name": "owner"}}
    made = plane.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", body)
    return OwnerReference("v1", "ConfigMap", "owner", made["metadata"]["uid"])


@pytest.fixture
def connection(namespace: str, owner: OwnerReference) -> ObjectSecret:
    data: dict[str, Entry] = {"host": "master.cache.local", "username": "", "password": SecretValue("s&cret", "v1"), "url": URL}
    return ObjectSecret(namespace, f"cache-{uuid4().hex[:8]}", data, owner)


def with_data(secret: ObjectSecret, **data: Any) -> ObjectSecret:
    return replace(secret, data={**secret.data, **data})


def path_of(secret: ObjectSecret) -> str:
    return f"/api/v1/namespaces/{secret.namespace}/secrets/{secret.name}"


def patch(plane: ControlPlane, secret: ObjectSecret, body: Mapping[str, object]) -> None:
    plane.call("PATCH", path_of(secret), body, content_type="application/merge-patch+json")


def put_key(plane: ControlPlane, secret: ObjectSecret, key: str, text: str | None) -> None:
    patch(plane, secret, {"data": {key: None if text is None else base64.b64encode(text.encode()).decode()}})


def texts(plane: ControlPlane, secret: ObjectSecret) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in plane.call("GET", path_of(secret))["data"].items()}


def made(lab: Lab, desired: ObjectSecret) -> tuple[ObjectSecretDriver, Target[ObjectSecret]]:
    driver = ObjectSecretDriver(cast(Any, lab.scope("")), lab.clock)
    target = lab.target(driver.type, desired)
    return driver, replace(target, external_id=driver.create(target, "t").external_id)


def test_lives_as_promised(lab: Lab, plane: ControlPlane, connection: ObjectSecret) -> None:
    connection = replace(connection, owner=None)
    changes = {
        "password": with_data(connection, password=SecretValue("n&w", "v2")),
        "host": with_data(connection, host="elsewhere"),
        "template": with_data(connection, url=Template("redis://{host}")),
        "another key": with_data(connection, port="6379"),
    }

    def drift(seen: Observed[ObjectSecret]) -> None:
        put_key(plane, connection, "password", "wrong")

    check_contract(lab, Contract(ObjectSecretDriver, connection, changes, drift, "data[password]"))


def test_holds_what_clients_need(lab: Lab, plane: ControlPlane, connection: ObjectSecret, owner: OwnerReference) -> None:
    driver, target = made(lab, connection)
    assert texts(plane, connection) == {
        "host": "master.cache.local",
        "username": "",
        "password": "s&cret",
        "url": "rediss://:s%26cret@master.cache.local:6379",
    }
    metadata = plane.call("GET", path_of(connection))["metadata"]
    assert metadata["annotations"][OWNER] == target.owner
    assert [(each["kind"], each["uid"], each["controller"]) for each in metadata["ownerReferences"]] == [("ConfigMap", owner.uid, True)]
    seen = settled(driver, target)
    assert seen.attributes["name"] == connection.name
    assert abs(datetime.fromisoformat(seen.attributes["publishedAt"]).timestamp() - time.time()) < 5
    assert "s&cret" not in repr(seen) and "s%26cret" not in repr(seen)


@pytest.mark.parametrize("depth", Depth)
@pytest.mark.parametrize("key", ["host", "password", "url", "username"])
def test_a_changed_key_is_seen_and_repaired_alone(lab: Lab, plane: ControlPlane, connection: ObjectSecret, key: str, depth: Depth) -> None:
    driver, target = made(lab, connection)
    settled(driver, target, depth)
    put_key(plane, connection, "theirs", "stays")
    put_key(plane, connection, key, "wrong")
    changes = differences(target, observe(driver, target, depth))
    assert f"data[{key}]" in {change.path for change in changes}
    assert "s&cret" not in repr(changes) and "wrong" not in repr([change for change in changes if change.path == "data[password]"])
    write(driver, target)
    assert texts(plane, connection)["theirs"] == "stays"
    assert settled(driver, target, depth).value.data["theirs"] == FOREIGN


@pytest.mark.parametrize("depth", Depth)
def test_a_removed_key_comes_back(lab: Lab, plane: ControlPlane, connection: ObjectSecret, depth: Depth) -> None:
    driver, target = made(lab, connection)
    settled(driver, target, depth)
    put_key(plane, connection, "password", None)
    assert "data[password]" in {change.path for change in differences(target, observe(driver, target, depth))}
    write(driver, target)
    assert texts(plane, connection)["password"] == "s&cret"


@pytest.mark.parametrize("held", ["data", "data[password]", "data[host]"])
def test_what_is_held_back_or_ignored_keeps_its_value(lab: Lab, plane: ControlPlane, connection: ObjectSecret, held: str) -> None:
    driver, target = made(lab, connection)
    put_key(plane, connection, "theirs", "stays")
    put_key(plane, connection, "host", "elsewhere")
    patch(plane, connection, {"metadata": {"annotations": {PUBLISHED_AT: None}}})
    before, seen = texts(plane, connection), observe(driver, target)
    assert seen is not None
    grafted = replace(target, desired=graft(connection, seen.value, Paths([held])))
    driver.update(grafted, seen, tuple(change for change in differences(target, seen) if change.path not in Paths([held])))
    after = texts(plane, connection)
    assert all(after[key] == before[key] for key in ("theirs", "password"))
    assert after["host"] == ("master.cache.local" if held == "data[password]" else "elsewhere")


def test_a_key_that_is_no_longer_wanted_goes(lab: Lab, plane: ControlPlane, connection: ObjectSecret) -> None:
    driver, target = made(lab, with_data(connection, port="6379"))
    without = replace(target, desired=connection)
    again = observe(driver, without)
    assert again is not None
    changes = diff(connection, again.value, Applied.of(target.desired, b"key"), b"key")
    assert [(change.path, change.want) for change in changes] == [("data[port]", None)]
    driver.update(without, again, changes)
    assert "port" not in texts(plane, connection)


def test_a_new_password_is_pending_and_one_put_there_by_others_is_drift(lab: Lab, plane: ControlPlane, connection: ObjectSecret) -> None:
    driver, target = made(lab, connection)
    applied = Applied.of(connection, b"key")
    rotated = replace(target, desired=with_data(connection, password=SecretValue("n&w", "v2")))
    seen = observe(driver, rotated)
    assert seen is not None
    assert [(change.path, change.cause) for change in diff(rotated.want(), seen.value, applied, b"key")] == [("data[password]", Cause.PENDING)]
    put_key(plane, connection, "password", "wrong")
    seen = observe(driver, target)
    assert seen is not None
    causes = {change.path: change.cause for change in diff(connection, seen.value, applied, b"key")}
    assert causes["data[password]"] is Cause.DRIFT


def test_publication_is_dated_by_the_secret_values_alone(lab: Lab, connection: ObjectSecret) -> None:
    driver, target = made(lab, connection)
    first = settled(driver, target).attributes["publishedAt"]
    lab.clock.advance(60)
    moved = replace(target, desired=with_data(connection, username="app"))
    write(driver, replace(target, desired=with_data(connection, host="elsewhere", url="no secret")))
    assert settled(driver, replace(target, desired=with_data(connection, host="elsewhere", url="no secret"))).attributes["publishedAt"] == first
    lab.clock.advance(60)
    assert write(driver, moved).attributes["publishedAt"] > first, "the URL holds the password, and changed"
    second = settled(driver, moved).attributes["publishedAt"]
    lab.clock.advance(60)
    rotated = replace(target, desired=with_data(moved.want(), password=SecretValue("n&w", "v2")))
    write(driver, rotated)
    assert settled(driver, rotated).attributes["publishedAt"] > second
    assert settled(driver, rotated, Depth.SWEEP).attributes["publishedAt"] > second


@pytest.mark.parametrize("depth", Depth)
@pytest.mark.parametrize("stamp", [None, "yesterday"])
def test_a_lost_time_of_publication_is_written_again(lab: Lab, plane: ControlPlane, connection: ObjectSecret, stamp: str | None, depth: Depth) -> None:
    driver, target = made(lab, connection)
    settled(driver, target, depth)
    patch(plane, connection, {"metadata": {"annotations": {PUBLISHED_AT: stamp}}})
    seen = observe(driver, target, depth)
    assert seen is not None and "publishedAt" not in seen.attributes
    assert [change.path for change in differences(target, seen)] == ["data[password]"]
    write(driver, target)
    assert "publishedAt" in settled(driver, target, depth).attributes


@pytest.mark.parametrize("annotations", [{}, {OWNER: "another/CacheCluster/default/x/connection"}])
def test_what_is_not_ours_is_never_touched(lab: Lab, plane: ControlPlane, connection: ObjectSecret, annotations: dict[str, str]) -> None:
    body = {"metadata": {"name": connection.name, "annotations": annotations}, "stringData": {"host": "theirs"}}
    before = plane.call("POST", path_of(connection).rpartition("/")[0], body)
    driver = ObjectSecretDriver(cast(Any, lab.scope("")), lab.clock)
    target = lab.target(driver.type, connection)
    seen = observe(driver, target)
    assert seen is not None and seen.owner != target.owner
    with pytest.raises(Terminal, match="is not ours"):
        driver.create(target, "t")
    with pytest.raises(Terminal, match="is not ours"):
        driver.update(target, seen, ())
    assert driver.delete(target, seen) is None
    after = plane.call("GET", path_of(connection))
    assert (after["data"], after["metadata"]["resourceVersion"]) == (before["data"], before["metadata"]["resourceVersion"])


def test_a_sweep_reads_nothing_that_did_not_change(lab: Lab, plane: ControlPlane, connection: ObjectSecret) -> None:
    driver, target = made(lab, connection)
    settled(driver, target)
    put_key(plane, connection, "theirs", "stays")
    settled(driver, target, Depth.SWEEP)
    api = lab.scope("")
    reads: list[str] = []

    class Counting:
        def get(self, path: str, **query: str) -> Any:
            reads.append(path)
            return cast(Any, api).get(path, **query)

        def list_metadata(self, path: str) -> Any:
            return cast(Any, api).list_metadata(path)

    driver._api = cast(Any, Counting())
    for _ in range(3):
        settled(driver, target, Depth.SWEEP)
    assert reads == []
    rotated = replace(target, desired=with_data(connection, password=SecretValue("n&w", "v2")))
    assert differences(rotated, observe(driver, rotated, Depth.SWEEP))
    assert len(reads) == 1


def test_where_lists_are_refused_each_is_read_by_name(lab: Lab, connection: ObjectSecret) -> None:
    _, target = made(lab, connection)
    restricted = ObjectSecretDriver(cast(Any, lab.scope("")), lab.clock, ("elsewhere",))
    settled(restricted, target, Depth.SWEEP)


def test_moves_to_another_owner_and_goes_with_it(lab: Lab, plane: ControlPlane, connection: ObjectSecret, owner: OwnerReference) -> None:
    driver, target = made(lab, connection)
    other = plane.call("POST", f"/api/v1/namespaces/{connection.namespace}/configmaps", {"metadata": {"name": "other"}})
    moved = replace(target, desired=replace(connection, owner=replace(owner, name="other", uid=other["metadata"]["uid"])))
    seen = settled(driver, target)
    driver.update(moved, seen, differences(moved, seen))
    assert differences(moved, settled(driver, moved)) == ()
    assert driver.delete(moved, settled(driver, moved)) is None
    assert texts(plane, connection)["password"] == "s&cret", "the cluster's garbage collector takes it along with its owner"


def test_is_found_by_its_identity(lab: Lab, connection: ObjectSecret) -> None:
    driver, target = made(lab, replace(connection, owner=None))
    assert driver.owned(target.identity) == {target.node: target.external_id}
    delete(driver, target)
    assert ObjectSecretDriver(cast(Any, lab.scope("")), lab.clock).owned(target.identity) == {}


def test_without_its_namespace_it_waits(lab: Lab, connection: ObjectSecret) -> None:
    driver = ObjectSecretDriver(cast(Any, lab.scope("")), lab.clock)
    with pytest.raises(Waiting, match="NamespaceMissing"):
        driver.create(lab.target(driver.type, replace(connection, namespace="nowhere", owner=None)), "t")


def test_a_write_in_between_is_refused(lab: Lab, plane: ControlPlane, connection: ObjectSecret) -> None:
    driver, target = made(lab, connection)
    seen = settled(driver, target)
    api = cast(Any, lab.scope(""))

    class Racing:
        def get(self, path: str, **query: str) -> Any:
            found = api.get(path, **query)
            put_key(plane, connection, "theirs", uuid4().hex)
            return found

        def merge(self, path: str, body: Mapping[str, Any]) -> Any:
            return api.merge(path, body)

    driver._api = cast(Any, Racing())
    with pytest.raises(Transient, match="ChangedMeanwhile"):
        driver.update(target, seen, ())


def test_a_finalizer_holds_it_as_pending(lab: Lab, plane: ControlPlane, connection: ObjectSecret) -> None:
    driver, target = made(lab, replace(connection, owner=None))
    patch(plane, connection, {"metadata": {"finalizers": ["example.com/hold"]}})
    left = driver.delete(target, settled(driver, target))
    assert left is not None and left.reason == "Deleting"
    patch(plane, connection, {"metadata": {"finalizers": None}})
    delete(driver, target)


def test_what_is_not_known_yet_is_not_found_wrong_for_it(lab: Lab, connection: ObjectSecret) -> None:
    driver, target = made(lab, connection)
    early = replace(target, desired=with_data(connection, password=SecretFrom("secret", "password"), host=Ref("group", "host")))
    seen = observe(driver, early)
    assert seen is not None
    assert differences(target, seen) == (), "what was read early is compared with what became known later"
    assert driver.locatable(early)


def test_without_a_cluster_nothing_is_compared(lab: Lab, connection: ObjectSecret) -> None:
    driver = UncomparedSecretDriver()
    assert isinstance(driver, Driver)
    target = lab.target(driver.type, with_data(connection, password=SecretFrom("secret", "password")))
    seen = observe(driver, target)
    assert seen is not None and seen.owner == target.owner and differences(target, seen) == ()
    assert observe(driver, replace(target, desired=None, external_id="a/b")) is None
    with pytest.raises(Terminal, match="NoCluster"):
        driver.create(target, "t")


def test_how_clients_are_told_to_log_in_is_read_at_one_moment_and_hidden_from_then_on(api: Kubernetes, plane: ControlPlane, namespace: str) -> None:
    told: dict[str, str] = {"tls": "true", "username": "app", "password": "published-0123456789", "binary": "", "host": "cache.test"}
    data = {key: base64.b64encode(value.encode()).decode() for key, value in told.items()} | {"binary": base64.b64encode(b"\xff").decode()}
    for name, keys in (("users", told.keys()), ("open", {"tls", "host"})):
        body = {"metadata": {"name": name}, "data": {key: data[key] for key in keys}}
        plane.call("POST", f"/api/v1/namespaces/{namespace}/secrets", body)
    concealed: list[str] = []
    sources = ClusterSources(api, lambda ref: None, concealed.append)
    assert sources.login(namespace, "users") == PublishedLogin(True, "app", "published-0123456789")
    assert concealed == ["published-0123456789"]
    assert (sources.login(namespace, "open"), len(concealed)) == (PublishedLogin(True), 1)
    with pytest.raises(ReferenceNotFound, match=f"Secret {namespace}/gone does not exist"):
        sources.login(namespace, "gone")
