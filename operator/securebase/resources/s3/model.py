"""S3 buckets that others own, and our statement in a bucket's policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from securebase.core.fields import Impact, managed
from securebase.resources.statements import canonical


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket somebody else manages; only read.

    Attributes: `name`, `region`, `arn`, `domainName` (`<bucket>.s3.<region>.<suffix>`: the regional name, as the global one answers with redirects for
    a new bucket outside us-east-1).
    """

    name: str


@dataclass(frozen=True, slots=True)
class PolicyStatement:
    """One statement of a bucket's policy, found by its Sid. All other statements belong to others.

    document  the statement as canonical JSON text without its Sid (`PolicyStatement.of` writes it); may hold references
    """

    bucket: str = managed(impact=Impact.REPLACE)
    sid: str = managed(impact=Impact.REPLACE)
    document: str = managed()

    @classmethod
    def of(cls, bucket: str, sid: str, statement: Mapping[str, Any]) -> PolicyStatement:
        """From a statement as a mapping."""
        return cls(bucket, sid, canonical({key: value for key, value in statement.items() if key != "Sid"}))
