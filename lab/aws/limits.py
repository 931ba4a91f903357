"""AWS's documented API rates as token buckets: rate and burst a second, per account and region, with where each is written.

Where AWS publishes no figure the row says so: such a rate is an assumption of ours, on the low side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lab.aws.wire import AwsFault, Call

CLOUDWATCH = "CloudWatch User Guide, CloudWatch service quotas"
ACM = "AWS Certificate Manager User Guide, Quotas, API rate quotas"
ROUTE53 = "Route 53 Developer Guide, Quotas, Maximums on API requests: all requests, 5 a second an account"
SNS = "Amazon Web Services General Reference, Amazon SNS endpoints and quotas, SNS API throttling"
LOGS = "CloudWatch Logs User Guide, CloudWatch Logs quotas"
TAGGING = "Amazon Web Services General Reference, Resource Groups Tagging endpoints and quotas"
S3 = "Amazon S3 User Guide, Optimizing performance: 3,500 writes and 5,500 reads a second a prefix"
CLOUDFRONT = "CloudFront Developer Guide, Quotas: publishes no API rate; assumed"
ELASTICACHE = "ElastiCache API reference: publishes no API rate; assumed"
EC2 = "Amazon EC2 User Guide, API request throttling: token buckets by kind of action"
SECRETS = "AWS Secrets Manager User Guide, Secrets Manager quotas, request rates"
INVALIDATION = "AWS's answer in aws/aws-sdk-js issue 3983: CreateInvalidation 0.5 a second an account"


@dataclass(frozen=True, slots=True)
class Limit:
    """`operations` share one bucket when `shared`; otherwise each has its own. '*' matches what no other row names."""

    service: str
    operations: tuple[str, ...]
    rate: float
    burst: float
    source: str
    shared: bool = False


def _each(service: str, rate: float, source: str, *operations: str, burst: float | None = None) -> Limit:
    return Limit(service, operations, rate, burst or max(rate, 1.0), source)


LIMITS: tuple[Limit, ...] = (
    _each("cloudwatch", 3, CLOUDWATCH, "PutMetricAlarm", "PutCompositeAlarm", "DeleteAlarms", "SetAlarmState", "EnableAlarmActions"),
    _each("cloudwatch", 3, CLOUDWATCH, "DisableAlarmActions", "DescribeAlarmHistory", "DescribeAlarmsForMetric"),
    _each("cloudwatch", 9, CLOUDWATCH, "DescribeAlarms"),
    _each("cloudwatch", 10, CLOUDWATCH, "PutDashboard", "GetDashboard", "ListDashboards", "DeleteDashboards"),
    _each("cloudwatch", 50, CLOUDWATCH, "GetMetricData"),
    _each("cloudwatch", 25, CLOUDWATCH, "ListMetrics"),
    _each("cloudwatch", 500, CLOUDWATCH, "PutMetricData"),
    _each("cloudwatch", 20, f"{CLOUDWATCH}: none for tags; assumed", "TagResource", "UntagResource", "ListTagsForResource"),
    _each("acm", 5, ACM, "RequestCertificate", "AddTagsToCertificate", "RemoveTagsFromCertificate", "UpdateCertificateOptions"),
    _each("acm", 10, ACM, "DescribeCertificate", "DeleteCertificate", "GetCertificate", "ListTagsForCertificate"),
    _each("acm", 8, ACM, "ListCertificates"),
    _each("acm", 1, ACM, "ImportCertificate", "ResendValidationEmail"),
    Limit("route53", ("*",), 5, 5, ROUTE53, shared=True),
    _each("sns", 30, SNS, "CreateTopic", "DeleteTopic", "ListTopics", "ListSubscriptions", "ListSubscriptionsByTopic"),
    _each("sns", 100, SNS, "Subscribe", "Unsubscribe"),
    Limit("sns", ("TagResource", "UntagResource", "ListTagsForResource"), 10, 10, SNS, shared=True),
    _each("logs", 10, LOGS, "CreateLogGroup", "DeleteLogGroup", "DescribeLogGroups", "PutRetentionPolicy"),
    _each("logs", 5, f"{LOGS}: none for the delivery operations; assumed", "*", burst=10),
    _each("resourcegroupstaggingapi", 15, TAGGING, "GetResources"),
    _each("resourcegroupstaggingapi", 5, TAGGING, "TagResources", "UntagResources", "GetTagKeys", "GetTagValues", burst=10),
    Limit("s3", ("PutObject", "DeleteObject", "CopyObject"), 3500, 3500, S3, shared=True),
    Limit("s3", ("GetObject", "HeadObject"), 5500, 5500, S3, shared=True),
    _each("s3", 20, "Amazon S3 User Guide: no rate of bucket configuration requests is published; assumed", "*"),
    _each("elasticache", 5, ELASTICACHE, "(write)", burst=10),
    _each("elasticache", 10, ELASTICACHE, "(read)", burst=20),
    Limit("ec2", ("(write)",), 5, 50, EC2, shared=True),
    Limit("ec2", ("(read)",), 20, 100, EC2, shared=True),
    _each("secretsmanager", 10_000, SECRETS, "DescribeSecret", "GetSecretValue"),
    _each("secretsmanager", 100, SECRETS, "ListSecrets"),
    _each("secretsmanager", 50, SECRETS, "*"),
    _each("cloudfront", 0.5, INVALIDATION, "CreateInvalidation", burst=10),
    _each("cloudfront", 2, CLOUDFRONT, "(write)", burst=8),
    _each("cloudfront", 10, CLOUDFRONT, "(read)", burst=20),
)
# One rate for the account, whatever region a request is signed for.
_GLOBAL = frozenset({"cloudfront", "route53"})

# How each service says no: AWS's general reference names Throttling and ThrottlingException, S3 its own SlowDown (HTTP 503).
THROTTLING = {
    "s3": ("SlowDown", 503),
    "acm": ("ThrottlingException", 400),
    "logs": ("ThrottlingException", 400),
    "sns": ("Throttling", 400),
    "ec2": ("RequestLimitExceeded", 503),
    "secretsmanager": ("ThrottlingException", 400),
}


@dataclass(slots=True)
class Bucket:
    """A token bucket; `take` says whether a call may pass now."""

    rate: float
    burst: float
    level: float
    at: float

    def take(self, now: float) -> bool:
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


def limit_of(call: Call, limits: Iterable[Limit] = LIMITS) -> Limit | None:
    """The row that rules this operation: the one that names it, else its read or write row, else the service's '*'."""
    rows = [row for row in limits if row.service == call.service]
    for name in (call.operation, "(write)" if call.is_write else "(read)", "*"):
        for row in rows:
            if name in row.operations:
                return row
    return None


class Throttle:
    """Rates on a clock that runs `scale` times as fast: at scale 10 a documented 3 a second lets 30 through, and bursts grow alike."""

    def __init__(self, clock: Callable[[], float], limits: tuple[Limit, ...] = LIMITS) -> None:
        self._clock, self.limits = clock, limits
        self.scale = 0.0
        self._buckets: dict[tuple[str, ...], Bucket] = {}

    def set_scale(self, scale: float) -> None:
        """0 turns throttling off."""
        self.scale = scale
        self._buckets.clear()

    def admit(self, call: Call) -> None:
        """Raises the service's throttling error when the bucket is empty."""
        if not self.scale or (limit := limit_of(call, self.limits)) is None:
            return
        key = (
            call.account,
            "" if call.service in _GLOBAL else call.region,
            call.service,
            limit.operations[0] if limit.shared else call.operation,
        )
        now, burst = self._clock(), max(1.0, limit.burst * self.scale)
        bucket = self._buckets.setdefault(key, Bucket(limit.rate * self.scale, burst, burst, now))
        if not bucket.take(now):
            code, status = THROTTLING.get(call.service, ("Throttling", 400))
            raise AwsFault(code, "Rate exceeded", status)
