"""Vended log delivery (v2): who sends (source), where to (destination), and the delivery between the two. For CloudFront all of it lives in us-east-1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from securebase.core.fields import Impact, managed


@dataclass(frozen=True, slots=True)
class DeliverySource:
    """The resource that writes logs. Attributes: `name`, `arn`."""

    name: str = managed(impact=Impact.REPLACE)
    resource_arn: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    log_type: str = managed(impact=Impact.REPLACE, default="ACCESS_LOGS")


@dataclass(frozen=True, slots=True)
class DeliveryDestination:
    """Where logs go: an S3 bucket (its ARN may end in a prefix), a log group or a Firehose stream. Attributes: `name`, `arn`."""

    name: str = managed(impact=Impact.REPLACE)
    destination_arn: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    output_format: str = managed(impact=Impact.REPLACE, default="json")


@dataclass(frozen=True, slots=True)
class Delivery:
    """The way from a source to a destination; one at most for each pair. Attributes: `id`, `arn`.

    fields           record fields in their order; () = AWS's default
    field_delimiter  for the formats plain, w3c and raw; "" = AWS's default
    suffix_path      for S3: the path below the bucket, e.g. `{DistributionId}/{yyyy}/{MM}/{dd}/{HH}`; "" = AWS's default
    """

    source_name: str = managed(impact=Impact.REPLACE)
    destination_arn: str = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    fields: tuple[str, ...] = ()
    field_delimiter: str = ""
    suffix_path: str = ""
    hive_compatible: bool = False
