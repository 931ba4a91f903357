"""Where a distribution fetches from: origins, failover groups, buckets and the statements that let the distribution in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from securebase.api.cdn import CdnDistributionSpec
from securebase.api.cdn import Origin as OriginSpec
from securebase.api.cdn.origins import OriginHeader as HeaderSpec
from securebase.api.cdn.origins import S3Origin
from securebase.core.errors import Terminal
from securebase.core.fields import SecretValue
from securebase.core.graph import Node, Ref, Role
from securebase.core.identity import digest
from securebase.core.kind import Context, Facts, SecretRef
from securebase.kinds.cdn.shared import SharedNodes
from securebase.resources.cloudfront.model import Connection, Origin, OriginAccessControl, OriginGroup, OriginHeader, Shield
from securebase.resources.s3.model import Bucket, PolicyStatement

# "Origin custom headers" in the quotas of the CloudFront developer guide.
_LONGEST_HEADER_VALUE = 1783


def header_secrets(spec: CdnDistributionSpec, namespace: str) -> frozenset[SecretRef]:
    """Every Secret whose value is sent to an origin."""
    return frozenset(ref for origin in spec.origins for header in origin.headers if (ref := _secret_ref(header, namespace)))


def origins(spec: CdnDistributionSpec, facts: Facts, namespace: str, shared: SharedNodes) -> tuple[Origin, ...]:
    """The origins of the distribution."""
    return tuple(_origin(origin, facts, namespace, shared) for origin in spec.origins)


def origin_groups(spec: CdnDistributionSpec) -> tuple[OriginGroup, ...]:
    """The failover groups of the distribution."""
    return tuple(OriginGroup(group.id, group.primary, group.secondary, frozenset(group.failover_status_codes)) for group in spec.origin_groups)


def bucket_nodes(spec: CdnDistributionSpec, context: Context) -> Iterator[Node]:
    """Each bucket as it is, and beside what others wrote into its policy the statement that lets this distribution read."""
    for origin in spec.origins:
        if origin.s3 is None:
            continue
        bucket, region = f"bucket-{origin.id}", origin.s3.region or ""
        yield Node(bucket, "s3/bucket", Bucket(origin.s3.bucket), region, Role.EXTERNAL)
        if origin.s3.manage_bucket_policy:
            name = f"bucket-policy-{origin.id}"
            statement = PolicyStatement.of(origin.s3.bucket, _sid(context, name), _reading(origin.s3, origin.path or "", context))
            yield Node(name, "s3/policy-statement", statement, region, after=frozenset({bucket}), lingers=True)


def _sid(context: Context, node: str) -> str:
    """IAM takes letters and digits only in a Sid."""
    return f"SecureBase{digest(context.identity.owner(node), length=24)}"


def _reading(origin: S3Origin, path: str, context: Context) -> dict[str, Any]:
    """Objects below the origin's path, for exactly this distribution ("Restrict access to an Amazon S3 origin")."""
    return {
        "Effect": "Allow",
        "Principal": {"Service": "cloudfront.amazonaws.com"},
        "Action": "s3:GetObject",
        "Resource": f"arn:{context.partition}:s3:::{origin.bucket}{path}/*",
        "Condition": {"StringEquals": {"AWS:SourceArn": Ref("distribution", "arn"), "aws:SourceAccount": context.account_id}},
    }


def _origin(origin: OriginSpec, facts: Facts, namespace: str, shared: SharedNodes) -> Origin:
    domain, connection, access_control = _reached(origin, shared)
    return Origin(
        id=origin.id,
        domain_name=domain,
        connection=connection,
        path=origin.path or "",
        access_control_id=access_control,
        headers=tuple(_header(header, facts, namespace) for header in sorted(origin.headers, key=lambda header: header.name)),
        shield=Shield(True, origin.shield.region) if origin.shield else Shield(),
        connection_attempts=origin.connection_attempts,
        connection_timeout=origin.connection_timeout_seconds,
    )


def _reached(origin: OriginSpec, shared: SharedNodes) -> tuple[str, Connection, str]:
    """Domain name, connection and id of the access control."""
    match origin:
        case OriginSpec(custom=custom) if custom is not None:
            connection = Connection.custom(
                custom.protocol,
                custom.http_port,
                custom.https_port,
                frozenset(custom.ssl_protocols),
                custom.read_timeout_seconds,
                custom.keepalive_timeout_seconds,
            )
            return custom.domain_name, connection, ""
        case OriginSpec(vpc=vpc) if vpc is not None:
            return vpc.domain_name, Connection.vpc(vpc.vpc_origin_id, vpc.read_timeout_seconds, vpc.keepalive_timeout_seconds), ""
        case _:
            return Ref(f"bucket-{origin.id}", "domainName"), Connection.s3(), shared.access_control(OriginAccessControl(""))


def _header(header: HeaderSpec, facts: Facts, namespace: str) -> OriginHeader:
    ref = _secret_ref(header, namespace)
    if ref is None:
        return OriginHeader(header.name, header.value or "")
    value = facts.secret(ref)
    if isinstance(value, SecretValue):
        _check_sendable(value, ref, header.name)
    return OriginHeader(header.name, value)


def _check_sendable(secret: SecretValue, ref: SecretRef, header: str) -> None:
    """A Secret made from a file or by `echo` ends with a line break, which no header can carry."""
    value = secret.value
    if not value or len(value) > _LONGEST_HEADER_VALUE or not value.isascii() or not value.isprintable() or value != value.strip():
        raise Terminal(
            "InvalidHeaderValue",
            f"{ref} cannot be sent as header {header}: it must have 1 to {_LONGEST_HEADER_VALUE} printable characters without "
            "line breaks or spaces around them",
        )


def _secret_ref(header: HeaderSpec, namespace: str) -> SecretRef | None:
    if header.value_from is None:
        return None
    ref = header.value_from.secret_key_ref
    return SecretRef(namespace, ref.name, ref.key)
