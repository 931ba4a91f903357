"""Route 53: public hosted zones that others own, our records in them, and the records that validate certificates."""

from __future__ import annotations

from dataclasses import dataclass

from securebase.core.fields import Impact, managed


@dataclass(frozen=True, slots=True)
class Zone:
    """A public hosted zone somebody else manages; only read. By its id, else the one with the longest suffix of `name`.

    Attributes: `id` (without `/hostedzone/`), `name` (without the trailing dot).
    """

    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class AliasTarget:
    """What an alias record points at. `zone_id` is the target's own hosted zone: Z2FDTNDATAQYW2 for every CloudFront distribution."""

    domain: str
    zone_id: str
    evaluate_health: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One record set: an alias, or values with a TTL. Names without a trailing dot. Attribute: `name`."""

    zone_id: str = managed(impact=Impact.REPLACE)
    name: str = managed(impact=Impact.REPLACE)
    type: str = managed(impact=Impact.REPLACE)
    alias: AliasTarget | None = None
    values: frozenset[str] = frozenset()
    ttl: int = 0


@dataclass(frozen=True, slots=True)
class ValidationRecord:
    """The CNAME that proves a domain to ACM, as `acm/certificate` tells it. Every certificate of the domain in the account shares it."""

    zone_id: str = managed(impact=Impact.REPLACE)
    name: str = managed(impact=Impact.REPLACE)
    value: str = managed()
