"""What the chart renders: with its defaults, with every option, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from securebase.clients.aws_errors import is_throttling
from securebase.settings import Settings
from tests.chart.conftest import CHART, ROOT, Document, Helm, Render, of_kind, the

EVERYTHING: Mapping[str, Any] = {
    "fullnameOverride": "operator",
    "image": {"repository": "registry.example.com/securebase-operator", "digest": f"sha256:{'a' * 64}"},
    "imagePullSecrets": [{"name": "pull"}],
    "replicaCount": 2,
    "instance": "production",
    "watchNamespaces": ["web", "shop"],
    "secretNamespaces": ["web"],
    "workers": 16,
    "awsRateScale": 0.5,
    "priceBook": {"configMap": "our-prices", "key": "2026.yaml"},
    "log": {"format": "text", "level": "DEBUG"},
    "lease": {"name": "mine", "durationSeconds": 30, "renewDeadlineSeconds": 20},
    "aws": {"region": "eu-central-1", "roleArn": "arn:aws:iam::123456789012:role/securebase"},
    "serviceAccount": {"name": "custom", "annotations": {"team": "platform"}},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example.com:3128"}],
    "extraEnvFrom": [{"secretRef": {"name": "credentials"}}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca"}],
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d"},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
    "podDisruptionBudget": {"enabled": True},
    "metrics": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "sweepStaleSeconds": 36000000},
    },
}


def container(documents: list[Document]) -> Mapping[str, Any]:
    (found,) = the(documents, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def environment(documents: list[Document]) -> dict[str, str]:
    """Plain values; references to fields as `fieldPath`."""
    return {entry["name"]: entry.get("value") or entry["valueFrom"]["fieldRef"]["fieldPath"] for entry in container(documents)["env"]}


@pytest.mark.parametrize("values", [{}, EVERYTHING, {"crds": {"install": False}, "rbac": {"create": False}}], ids=["defaults", "everything", "least"])
def test_helm_lint_finds_nothing(run_helm: Helm, values: Mapping[str, Any]) -> None:
    answer = run_helm("lint", "--strict", CHART, values=values)
    assert "[WARNING]" not in answer.stdout
    assert "[ERROR]" not in answer.stdout


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replicas": 2}, "additional properties 'replicas' not allowed"),
        ({"image": {"repostory": "x"}}, "additional properties 'repostory' not allowed"),
        ({"workers": 0}, "minimum: got 0, want 1"),
        ({"watchNamespaces": ["*"]}, "does not match pattern"),
        ({"image": {"digest": "latest"}}, "does not match pattern"),
        ({"terminationGracePeriodSeconds": 5}, "minimum: got 5, want 25"),
        ({"lease": {"renewDeadlineSeconds": 15}}, "renewDeadlineSeconds must be less than lease.durationSeconds"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name is needed"),
    ],
)
def test_wrong_values_are_refused(run_helm: Helm, values: Mapping[str, Any], message: str) -> None:
    answer = run_helm("template", "sb", CHART, values=values, check=False)
    assert answer.returncode != 0
    assert message in answer.stderr


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_every_variable_is_a_setting_that_the_operator_accepts(render: Render, values: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {name: value for name, value in environment(render(values)).items() if name.startswith("SECUREBASE_")}
    assert {name.removeprefix("SECUREBASE_").lower() for name in ours} <= Settings.model_fields.keys()
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    Settings()


def test_values_reach_the_operator(render: Render, monkeypatch: pytest.MonkeyPatch) -> None:
    told = environment(render(EVERYTHING))
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.watched() == ("web", "shop")
    assert settings.secrets_in() == ("web",)
    assert (settings.instance, settings.workers, settings.aws_rate_scale) == ("production", 16, 0.5)
    assert (settings.lease_name, settings.lease_duration, settings.lease_renew_deadline) == ("mine", 30, 20)
    assert (settings.log_format, settings.log_level) == ("text", "DEBUG")
    assert told["SECUREBASE_LEASE_NAMESPACE"] == "metadata.namespace"
    assert told["SECUREBASE_IDENTITY"] == "metadata.name"
    assert told["AWS_REGION"] == "eu-central-1"


def test_a_price_book_is_mounted_where_the_operator_reads_it(render: Render) -> None:
    documents = render({"priceBook": {"configMap": "our-prices", "key": "2026.yaml"}})
    path = environment(documents)["SECUREBASE_PRICE_BOOK"]
    [mount] = [one for one in container(documents)["volumeMounts"] if path == f"{one['mountPath']}/2026.yaml"]
    [volume] = [one for one in the(documents, "Deployment")["spec"]["template"]["spec"]["volumes"] if one["name"] == mount["name"]]
    assert (mount["readOnly"], volume["configMap"]) == (True, {"name": "our-prices"})


def test_the_pod_meets_the_restricted_standard(render: Render) -> None:
    pod = the(render(), "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(render())["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    # What the operator still has to do on SIGTERM takes up to 20 s.
    assert pod["terminationGracePeriodSeconds"] > 25


def test_probes_are_the_operators_own(render: Render) -> None:
    found = container(render())
    assert found["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert found["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert environment(render())["SECUREBASE_HTTP_PORT"] == str(found["ports"][0]["containerPort"])


def test_the_crds_are_those_of_the_sources_and_kept(render: Render) -> None:
    shipped = {document["metadata"]["name"]: document for document in of_kind(render(), "CustomResourceDefinition")}
    sources = {path.name.removesuffix(".yaml"): yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml")}
    assert shipped.keys() == sources.keys()
    for name, document in shipped.items():
        assert document["spec"] == sources[name]["spec"]
        assert document["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert not of_kind(render({"crds": {"install": False}}), "CustomResourceDefinition")


def test_a_role_of_aws_is_an_annotation_beside_others(render: Render) -> None:
    account = the(render(EVERYTHING), "ServiceAccount")
    assert account["metadata"]["name"] == "custom"
    assert account["metadata"]["annotations"] == {"team": "platform", "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/securebase"}
    assert account["automountServiceAccountToken"] is False


def test_a_digest_wins_over_the_tag(render: Render) -> None:
    assert container(render(EVERYTHING))["image"] == f"registry.example.com/securebase-operator@sha256:{'a' * 64}"
    assert container(render({"image": {"tag": "v9"}}))["image"] == "securebase-operator:v9"


def test_the_monitor_keeps_the_objects_own_labels(render: Render) -> None:
    documents = render(EVERYTHING)
    (endpoint,) = the(documents, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["honorLabels"] is True
    selected = the(documents, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    labels = the(documents, "Service")["metadata"]["labels"]
    assert selected.items() <= labels.items()


def test_selectors_meet_the_pods(render: Render) -> None:
    documents = render(EVERYTHING)
    labels = the(documents, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = (
        the(documents, "Deployment")["spec"]["selector"]["matchLabels"],
        the(documents, "Service")["spec"]["selector"],
        the(documents, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    )
    for selector in selectors:
        assert selector.items() <= labels.items()


@pytest.mark.parametrize("values", [{}, EVERYTHING, {"watchNamespaces": ["web"]}], ids=["defaults", "everything", "one namespace"])
def test_no_rule_is_wider_than_it_says(render: Render, values: Mapping[str, Any]) -> None:
    documents = render(values)
    for role in (*of_kind(documents, "ClusterRole"), *of_kind(documents, "Role")):
        ours = "aggregate-to" not in str(role["metadata"]["labels"])
        for rule in role["rules"]:
            words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert not any("*" in word for word in words)
            assert not {"nonResourceURLs", "bind", "escalate", "impersonate", "deletecollection"} & {*rule, *rule["verbs"]}
            assert not (ours and "delete" in rule["verbs"])


def test_with_namespaces_given_the_cluster_wide_role_reaches_nothing_in_them(render: Render) -> None:
    documents = render(EVERYTHING)
    (cluster,) = (role for role in of_kind(documents, "ClusterRole") if role["metadata"]["name"] == "operator")
    reached = {resource for rule in cluster["rules"] for resource in rule["resources"]}
    assert reached == {"awsaccounts", "awsaccounts/status", "customresourcedefinitions", "namespaces"}
    watching = [role for role in of_kind(documents, "Role") if any("secrets" in rule["resources"] and "watch" in rule["verbs"] for rule in role["rules"])]
    assert [role["metadata"]["namespace"] for role in watching] == ["web"]


def test_every_binding_is_of_the_service_account(render: Render) -> None:
    documents = render(EVERYTHING)
    bindings = (*of_kind(documents, "ClusterRoleBinding"), *of_kind(documents, "RoleBinding"))
    assert len(bindings) == 6
    for binding in bindings:
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "custom", "namespace": "securebase-system"}]


def test_the_alert_on_throttling_knows_the_codes_of_the_operator(render: Render) -> None:
    codes = ("Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown", "PriorRequestNotComplete", "429")
    assert all(is_throttling(code) for code in codes)
    (group,) = the(render(EVERYTHING), "PrometheusRule")["spec"]["groups"]
    (expression,) = (rule["expr"] for rule in group["rules"] if rule["alert"] == "SecureBaseAwsThrottled")
    pattern = expression.split('code=~"')[1].split('"')[0]
    assert set(pattern.split("|")) >= {"Throttl.*", "TooManyRequests.*", "RequestLimitExceeded", "SlowDown", "PriorRequestNotComplete", "429"}


def test_large_numbers_stay_numbers(render: Render) -> None:
    (group,) = the(render(EVERYTHING), "PrometheusRule")["spec"]["groups"]
    assert any("> 36000000" in rule["expr"] for rule in group["rules"])
