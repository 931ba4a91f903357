"""What is looked for: one thing by its name, or everything with some tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KnownTarget:
    """One thing that somebody else made.

    kind  ApiGatewayRest, ApiGatewayHttp, Lambda, DynamoDB, Aurora, ElastiCache, CloudFront, Sqs
    name  of the function, table, cluster, queue or REST API; id of the HTTP API, distribution or replication group

    Attributes: `exists` (true, false), `settled` (whether an absence is more than a first impression, and nothing is `unread`), and as far as the
    service tells (`SERVICES[kind].tells`): `id`, `arn`, `members` (comma list), `logGroup`, `logFormat`, `reservedConcurrency`, `accountConcurrency`,
    `timeoutSeconds`, `dlq`; of a DB cluster `engine`, `aurora` or `multiAz` (true), `monitored` (comma list of instances with Enhanced Monitoring);
    of an API `accessLogs` (JSON list of `stage`, `logGroup`, `fields`: context variable -> field); of a REST API whose name others have `namesakes`
    (comma list of ids). `unread` (comma list): attributes that were not read yet, so that it is not known whether there are any. `refused`: the
    call that may not be made for this very thing, so that what it tells is left out.
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
