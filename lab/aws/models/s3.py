"""S3: bucket policies that are no policies, and origins' buckets that are not there.

Amazon S3 API reference, PutBucketPolicy and "List of error codes": MalformedPolicy, HTTP 400.
"""

from __future__ import annotations

import json

from lab.aws.wire import AwsFault, Call, Reply

_REQUIRED = ("Effect", "Principal", "Action", "Resource")
_NEGATIVE = {"Principal": "NotPrincipal", "Action": "NotAction", "Resource": "NotResource"}


def check_policy(document: bytes | str, bucket: str) -> None:
    try:
        policy = json.loads(document)
    except ValueError as broken:
        raise AwsFault("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'", 400) from broken
    statements = policy.get("Statement") if isinstance(policy, dict) else None
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise AwsFault("MalformedPolicy", "Could not parse the policy: Statement is empty!", 400)
    for statement in statements:
        missing = [name for name in _REQUIRED if name not in statement and _NEGATIVE.get(name) not in statement]
        if missing:
            raise AwsFault("MalformedPolicy", f"Missing required field {missing[0]}", 400)
        resources = statement.get("Resource", [])
        for resource in [resources] if isinstance(resources, str) else resources:
            if not str(resource).startswith((f"arn:aws:s3:::{bucket}/", f"arn:aws:s3:::{bucket}", "*")):
                raise AwsFault("MalformedPolicy", "Policy has invalid resource", 400)
    sids = [statement["Sid"] for statement in statements if "Sid" in statement]
    if len(set(sids)) != len(sids):
        raise AwsFault("MalformedPolicy", "Statement IDs (SID) in a single policy must be unique.", 400)


class S3:
    services = frozenset({"s3"})

    async def before(self, call: Call) -> Reply | None:
        if call.operation == "PutBucketPolicy":
            check_policy(call.params.get("Policy", b""), call.params["Bucket"])
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        return reply

    def reset(self) -> None:
        """It keeps nothing."""
