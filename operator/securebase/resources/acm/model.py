"""ACM certificates: requested by us and validated by DNS, or given by ARN."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from securebase.core.fields import Impact, managed

VALID: Final = "VALID"
"""`Certificate.status` as wanted: issued, or still on the way there."""

TIMED_OUT: Final = "VALIDATION_TIMED_OUT"
"""`Certificate.status` as observed when nobody proved the domains within 72 hours: the driver requests a new one."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A public certificate, validated by DNS. AWS changes nothing of a certificate once requested, so another name is another certificate.

    domain_name  the common name; also in `names`
    names        every name the certificate covers; lower case, like `domain_name`
    status       left at its default: differs only where a validation timed out, so that the request is repeated

    Attributes: `requestedArn` at once; `arn` only when issued; per name `validationName.<name>` and `validationValue.<name>` as soon as
    ACM tells them (seconds after the request), both without a trailing dot. `*.example.com` and `example.com` share one record, and both
    spellings are there for either.
    """

    domain_name: str = managed(impact=Impact.REPLACE)
    names: frozenset[str] = managed(impact=Impact.REPLACE)
    tags: Mapping[str, str] = managed(open=True)
    key_algorithm: str = managed(impact=Impact.REPLACE, default="RSA_2048")
    status: str = managed(default=VALID)


@dataclass(frozen=True, slots=True)
class GivenCertificate:
    """A certificate of somebody else's, named by its ARN; it must be issued, in us-east-1, and cover `names`. Attribute: `arn`."""

    arn: str
    names: frozenset[str] = frozenset()


def validation_attribute(part: str, name: str) -> str:
    """Attribute that holds a part (`Name` or `Value`) of the record that validates a name: `validationName.example.com`."""
    return f"validation{part}.{name}"


def validated_domains(names: Iterable[str]) -> tuple[str, ...]:
    """The domains that need a validation record, sorted: a wildcard shares the record of the name above it."""
    return tuple(sorted({name.lower().removeprefix("*.") for name in names}))


def covers(have: Iterable[str], wanted: str) -> bool:
    """Whether a certificate for the names in `have` is good for a host name: exactly, or by a wildcard for one label."""
    names = {name.lower() for name in have}
    name = wanted.lower()
    return name in names or f"*.{name.partition('.')[2]}" in names
