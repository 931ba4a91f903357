"""What a CacheCluster means after its profile, and the pure facts about engines, nodes, windows and parameters."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from securebase.api.cache import CacheCluster, CacheClusterSpec
from securebase.api.cache.engines import DEFAULT_VERSIONS, VERSIONS, parameter_family, release
from securebase.api.cache.nodes import most_clients, node_family
from securebase.api.cache.parameters import PARAMETERS, names_outside
from securebase.api.cache.profiles import PROFILES
from securebase.api.cache.windows import daily_span, overlap, weekly_span
from securebase.api.scalars import Window
from tests.unit.api.cache_rule_cases import NETWORK, cache, entered, placed, prod

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
A_WEEK = 7 * 24 * 60


def spec_of(manifest: dict[str, object]) -> CacheClusterSpec:
    return CacheCluster.model_validate(manifest).spec


def test_what_dev_means() -> None:
    spec = spec_of(cache())
    assert (spec.effective_node_type, spec.effective_replicas, spec.effective_multi_az, spec.node_count) == ("cache.t4g.micro", 0, False, 1)
    assert (spec.effective_retention_days, spec.effective_on_delete, spec.effective_deletion_protection) == (5, "Delete", False)
    assert not spec.automatic_failover


def test_what_prod_means() -> None:
    spec = spec_of(prod())
    assert (spec.effective_node_type, spec.effective_replicas, spec.effective_multi_az, spec.node_count) == ("cache.r7g.large", 1, True, 2)
    assert (spec.effective_retention_days, spec.effective_on_delete, spec.effective_deletion_protection) == (7, "Snapshot", True)
    assert spec.automatic_failover


def test_every_value_of_a_profile_is_open_to_override() -> None:
    small = {"nodeType": "cache.t3.micro", "replicas": 0, "multiAz": False, "snapshot": {"retentionDays": 0, "finalSnapshot": False}}
    spec = spec_of(prod(**small, policy={"deletionProtection": False}))
    assert (spec.effective_node_type, spec.effective_replicas, spec.effective_multi_az) == ("cache.t3.micro", 0, False)
    assert (spec.effective_retention_days, spec.effective_on_delete, spec.effective_deletion_protection) == (0, "Delete", False)


@pytest.mark.parametrize(
    ("told", "final", "means"),
    [(None, None, "Snapshot"), ("Retain", None, "Retain"), ("Delete", None, "Delete"), (None, False, "Delete"), (None, True, "Snapshot")],
)
def test_what_becomes_of_a_deleted_prod_cache(told: str | None, final: bool | None, means: str) -> None:
    spec = spec_of(prod(policy={"onDelete": told} if told else {}, snapshot={} if final is None else {"finalSnapshot": final}))
    assert spec.effective_on_delete == means


def test_failover_goes_with_cluster_mode_and_replicas() -> None:
    assert spec_of(cache(clusterMode="enabled", shards=3)).automatic_failover
    assert spec_of(cache(replicas=1)).automatic_failover
    assert not spec_of(cache()).automatic_failover


@pytest.mark.parametrize(
    ("engine", "version", "family"),
    [
        ("valkey", None, "valkey8"),
        ("valkey", "7.2", "valkey7"),
        ("valkey", "9.1", "valkey9"),
        ("redis", None, "redis7"),
        ("redis", "6.2", "redis6.x"),
        ("redis", "7.0", "redis7"),
    ],
)
def test_the_family_of_the_parameter_group(engine: str, version: str | None, family: str) -> None:
    assert spec_of(cache(engine=engine, **({"version": version} if version else {}))).parameter_family == family


def test_every_known_version_has_a_family_and_versions_are_in_order() -> None:
    for engine, versions in VERSIONS.items():
        assert list(versions) == sorted(versions, key=release)
        assert DEFAULT_VERSIONS[engine] in versions
        assert all(parameter_family(engine, version) for version in versions)


def test_an_engine_from_the_future_has_no_family() -> None:
    with pytest.raises(ValueError, match=r"valkey 12\.0"):
        parameter_family("valkey", "12.0")


def test_parameters_carry_the_mode_of_the_cluster() -> None:
    assert spec_of(cache()).effective_parameters == {"maxmemory-policy": "volatile-lru"}
    tuned = spec_of(cache(clusterMode="enabled", parameters={"maxmemoryPolicy": "allkeys-lru", "values": {"timeout": "300"}}))
    assert tuned.effective_parameters == {"maxmemory-policy": "allkeys-lru", "timeout": "300", "cluster-enabled": "yes"}


def test_each_parameter_is_known_somewhere() -> None:
    assert set.intersection(*(set(names_outside(parameter_family(engine, v))) for engine, known in VERSIONS.items() for v in known)) == set()
    assert "lazyfree-lazy-eviction" in names_outside("valkey8")
    assert set(names_outside("redis7")) < PARAMETERS.keys()


@pytest.mark.parametrize(
    ("node", "family", "clients"), [("cache.t4g.micro", "t4g", 20_000), ("cache.t3.small", "t3", 46_000), ("cache.r6gd.xlarge", "r6gd", 65_000)]
)
def test_what_a_node_is(node: str, family: str, clients: int) -> None:
    assert (node_family(node), most_clients(node), spec_of(cache(nodeType=node)).max_clients) == (family, clients, clients)


def test_data_tiering_follows_the_node() -> None:
    assert spec_of(cache(nodeType="cache.r6gd.xlarge")).effective_data_tiering
    assert not spec_of(cache()).effective_data_tiering


def test_the_profiles_nodes_are_known() -> None:
    for profile in PROFILES.values():
        assert spec_of(cache(nodeType=profile.node_type)).effective_node_type == profile.node_type


def test_encryption_is_on_and_required() -> None:
    encryption = spec_of(cache()).encryption
    assert (encryption.at_rest, encryption.in_transit, encryption.effective_transit_mode) == (True, True, "required")
    assert spec_of(cache(encryption={"inTransit": False}, auth={"mode": "none"})).encryption.effective_transit_mode is None


@pytest.mark.parametrize(("kind", "discovery"), [("ipv4", "ipv4"), ("ipv6", "ipv6"), ("dual_stack", "ipv4")])
def test_what_clients_are_told_of(kind: str, discovery: str) -> None:
    assert spec_of(placed(networkType=kind)).network.effective_ip_discovery == discovery


def test_what_is_made_in_the_network() -> None:
    made = spec_of(cache()).network
    assert (made.makes_security_group, made.makes_subnet_group) == (True, True)
    given_ones = spec_of(placed(subnetIds=None, subnetGroupName="shared", ingress=None, securityGroupIds=NETWORK["ingress"]["securityGroupIds"])).network
    assert (given_ones.makes_security_group, given_ones.makes_subnet_group) == (False, False)


@pytest.mark.parametrize(
    ("cidr", "told"),
    [("10.0.0.1/16", r"write 10\.0\.0\.0/16"), ("10.0.0.256/32", "is no network"), ("2001:DB8:0::/64", "write 2001:db8::/64"), ("1::2::3/64", "is no network")],
)
def test_a_network_is_spelt_as_ec2_keeps_it(cidr: str, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        spec_of(entered(cidrs=[cidr]))


def test_a_round_trip_keeps_the_spelling() -> None:
    written = prod(rotation={"every": "720h", "grace": "90m"}, maintenanceWindow="sun:23:00-mon:00:30", snapshot={"window": "21:00-22:30"})["spec"]
    assert spec_of(prod() | {"spec": written}).model_dump(by_alias=True, exclude_unset=True, mode="json") == written


def weekly(start: int, length: int) -> str:
    return "-".join(f"{DAYS[minute // 1440]}:{minute // 60 % 24:02}:{minute % 60:02}" for minute in (start, (start + length) % A_WEEK))


def daily(start: int, length: int) -> str:
    return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (start, (start + length) % 1440))


@given(st.integers(0, A_WEEK - 1), st.integers(60, 1440), st.integers(0, 1439), st.integers(60, 1439))
@example(6 * 1440 + 1380, 90, 29, 60)
@example(0, 1440, 0, 60)
def test_windows_overlap_when_a_minute_is_in_both(start: int, length: int, snapshot: int, daily_length: int) -> None:
    maintenance, backup = weekly(start, length), daily(snapshot, daily_length)
    assert (weekly_span(Window(maintenance)), daily_span(backup)) == ((start, length), (snapshot, daily_length))
    maintained = {(start + minute) % A_WEEK for minute in range(length)}
    saved = {(snapshot + minute) % 1440 for minute in range(daily_length)}
    assert overlap(maintenance, backup) == any(minute % 1440 in saved for minute in maintained)
