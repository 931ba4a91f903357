"""What is looked for: one thing by its name, or everything with some tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """One thing that somebody else made.

    kind  ApiGatewayRest, ApiGatewayHttp, Lambda, DynamoDB, Aurora, ElastiCache, CloudFront, Sqs
    name  of the function, table, cluster, queue or REST API; id of the HTTP API, distribution or replication group

    Attributes: `exists` (true, false), `settled` (whether an absence is more than a first impression), and as the service's list tells:
    `id`, `arn`, `members` (comma list), `logGroup`, `logFormat`, `reservedConcurrency`, `timeoutSeconds`, `dlq`.
    """

    kind: str
    name: str
    stage: str = ""


@dataclass(frozen=True, slots=True)
class TagSearch:
    """Everything of a kind that carries all of these tags.

    Attributes: `members` (JSON list of names), `details` (JSON: name -> attributes as of a KnownTarget), `settled`.
    """

    kind: str
    tags: Mapping[str, str] = field(default_factory=dict)
