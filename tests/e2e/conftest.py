"""Two clusters, one AWS endpoint, one operator for most tests; a tenant of its own for every test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab.aws.context import Settings
from lab.aws.endpoint import AwsEndpoint
from lab.kubernetes import ControlPlane
from lab.operator import OperatorProcess
from tests.e2e.caches import Cache
from tests.e2e.harness import SYSTEM, Own, Tenant, install_definitions, install_rbac, make_tenant, operator_process, own, remove_tenant


@contextmanager
def _cluster(factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(factory.mktemp("kubernetes")) as plane:
        install_definitions(plane)
        plane.kubectl("create", "namespace", SYSTEM)
        yield plane


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The cluster of the one operator."""
    with _cluster(tmp_path_factory) as plane:
        yield plane


@pytest.fixture(scope="session")
def other_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The cluster of the operators that tests start themselves; empty but for them."""
    with _cluster(tmp_path_factory) as plane:
        yield plane


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsEndpoint]:
    """AWS. Deployments take half a second."""
    settings = Settings(distribution_deploy_s=0.5, invalidation_s=0.5, certificate_record_s=0.1, certificate_issue_s=0.1)
    with AwsEndpoint(tmp_path_factory.mktemp("aws"), settings=settings) as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def operator(plane: ControlPlane, endpoint: AwsEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OperatorProcess]:
    """The operator of the whole cluster, with a token that may do what the chart's RBAC lets it, and nothing else."""
    kubeconfig = install_rbac(plane, "securebase-operator")
    with operator_process(kubeconfig, endpoint, tmp_path_factory.mktemp("operator") / "operator.log", "securebase-operator") as process:
        yield process


@pytest.fixture
def tenant(plane: ControlPlane, endpoint: AwsEndpoint, operator: OperatorProcess) -> Iterator[Tenant]:
    """A namespace, an AwsAccount, an AWS account and a bucket of the test's own, served by the one operator."""
    made = make_tenant(plane, endpoint, "e2e-", operator)
    yield made
    endpoint.control.clear_rules()
    remove_tenant(made)


@pytest.fixture
def own_tenant(other_plane: ControlPlane, endpoint: AwsEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    """The same in the second cluster, where the test runs the operators."""
    yield from own(other_plane, endpoint, tmp_path_factory.mktemp("own"))
    endpoint.control.clear_rules()


@pytest.fixture
def cache(tenant: Tenant) -> Cache:
    return Cache.of(tenant)


@pytest.fixture
def real(tenant: Tenant) -> Iterator[Cache]:
    """With a real Redis behind it."""
    settings = tenant.endpoint.control.settings
    settings.elasticache_redis = True
    yield Cache.of(tenant)
    settings.elasticache_redis = False
