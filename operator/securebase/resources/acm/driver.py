"""Requests certificates, follows their validation, and judges certificates that somebody else gives us."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.diff import Change
from securebase.core.driver import Answer, Depth, Key, Observed, State, Target
from securebase.core.errors import ReconcileError, Terminal
from securebase.core.identity import OWNER_TAG, Identity, digest
from securebase.resources.acm.model import TIMED_OUT, VALID, Certificate, GivenCertificate, covers, validation_attribute
from securebase.resources.listing import LAG_SECONDS, STORM_SECONDS, Listing, Read
from securebase.resources.tagging import SweptTags, Tagged, TagIndex, owned_nodes, tag_list, tag_map, tags_to_put, tags_to_remove, unresolved

REGION: Final = "us-east-1"
"""CloudFront reads certificates from here only (CloudFront Developer Guide, Requirements for using SSL/TLS certificates)."""

# ListCertificates leaves out everything but RSA_1024 and RSA_2048 unless it is asked for (ACM API reference, Filters.keyTypes).
KEY_TYPES: Final = ("RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1")

_GONE: Final = ("ResourceNotFoundException",)
_ON_THE_WAY: Final = ("ISSUED", "PENDING_VALIDATION")

_FAILURES: Final = {
    "CAA_ERROR": "a CAA record of one of the names keeps Amazon from issuing; allow amazon.com there (CAA 0 issue)",
    "DOMAIN_NOT_ALLOWED": "one of the names is on a list of unsafe sites; AWS Support can clear it",
    "INVALID_PUBLIC_DOMAIN": "one of the names is not below a public top-level domain",
    "ADDITIONAL_VERIFICATION_REQUIRED": "Amazon wants to verify one of the names by hand (a well-known site); AWS Support can do it",
    "DOMAIN_VALIDATION_DENIED": "the validation of one of the names was denied",
    "NO_AVAILABLE_CONTACTS": "nobody could be asked about one of the names",
}
_ENDED: Final = {
    "EXPIRED": "the certificate has expired; it is renewed only while its validation record stands and it is in use",
    "REVOKED": "the certificate was revoked",
    "INACTIVE": "the certificate is no longer active",
}


@dataclass(frozen=True, slots=True)
class Summary:
    """What the list says of one certificate. `complete`: `names` are all of its names."""

    arn: str
    status: str
    names: frozenset[str]
    complete: bool
    key_algorithm: str

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Summary:
        """From an entry of ListCertificates, which shows a hundred names at most."""
        names = {entry.get("DomainName", ""), *entry.get("SubjectAlternativeNameSummaries", [])}
        complete = not entry.get("HasAdditionalSubjectAlternativeNames", False) and "SubjectAlternativeNameSummaries" in entry
        return cls(entry["CertificateArn"], entry.get("Status", ""), _lower(names), complete, _algorithm(entry.get("KeyAlgorithm", "")))

    def may_be(self, want: Certificate) -> bool:
        """Whether this can be the wanted certificate, as far as the list shows."""
        names = _lower(want.names)
        alike = self.names == names if self.complete else self.names <= names
        return alike and self.key_algorithm in ("", want.key_algorithm)


def list_certificates(aws: AwsScope) -> dict[str, Summary]:
    """Every certificate of the account in this region, whatever its state, by ARN: up to 1,000 a page."""
    pages = aws.pages("acm", "list_certificates", Includes={"keyTypes": list(KEY_TYPES)}, MaxItems=1000)
    return {entry["CertificateArn"]: Summary.of(entry) for page in pages for entry in page.get("CertificateSummaryList", [])}


class CertificateDriver:
    """`acm/certificate`. External id: the ARN.

    The idempotency token of a request lapses after an hour, and ARNs are random: so the account's certificates are searched for
    the owner tag before anything is requested. A certificate whose validation timed out cannot be revived: `update` requests it again.
    """

    type: ClassVar[str] = "acm/certificate"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._listing: Listing[str, Summary] = Listing(lambda: list_certificates(aws), clock)
        self._index = TagIndex(aws, clock, "acm:certificate")
        self._tags = SweptTags(self._index, self._read_tags, clock)
        self._lock = threading.Lock()
        self._details: dict[str, tuple[Summary, Read[dict[str, Any]]]] = {}
        self._requested: dict[str, tuple[float, Certificate]] = {}

    def observe(self, targets: Sequence[Target[Certificate]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: DescribeCertificate by ARN, found by search where it is unknown. SWEEP: the list, and a full read where it changed."""
        if depth is Depth.SWEEP:
            return self._swept(targets)
        return {target.key: self._each(target, self._fresh) for target in targets}

    def create(self, target: Target[Certificate], token: str) -> Observed[Certificate]:
        """Request it, unless an earlier try did."""
        want = target.want()
        return self._after_request(target, self._reusable(target) or self._request(target, want, token), want)

    def update(self, target: Target[Certificate], observed: Observed[Certificate], changes: Sequence[Change]) -> Observed[Certificate]:
        """Change tags; request again what timed out, then remove the old one."""
        want, arn = target.want(), observed.external_id
        if any(change.path == "status" for change in changes):
            again = self._reusable(target) or self._request(target, want, digest("again", arn, length=32))
            self._aws.attempt("acm", "delete_certificate", (*_GONE, "ResourceInUseException"), CertificateArn=arn)
            self._listing.drop(arn)
            return self._after_request(target, again, want)
        if put := tags_to_put(want.tags, observed.value.tags):
            self._aws.call("acm", "add_tags_to_certificate", CertificateArn=arn, Tags=tag_list(put))
        if gone := tags_to_remove(changes, want.tags):
            self._aws.call("acm", "remove_tags_from_certificate", CertificateArn=arn, Tags=[{"Key": key} for key in gone])
        tags = {key: value for key, value in {**observed.value.tags, **put}.items() if key not in gone}
        self._tags.wrote(arn, Tagged(observed.owner, tags))
        return replace(observed, value=replace(observed.value, tags=tags))

    def delete(self, target: Target[Certificate], observed: Observed[Certificate]) -> Observed[Certificate] | None:
        """Delete it as soon as nothing uses it: CloudFront lets go of a certificate minutes after the distribution changed."""
        arn = observed.external_id
        refused = self._aws.attempt("acm", "delete_certificate", (*_GONE, "ResourceInUseException"), CertificateArn=arn)
        if isinstance(refused, Refusal) and refused.code == "ResourceInUseException":
            users = ", ".join(sorted(observed.raw.get("InUseBy", []))) if observed.raw else ""
            return replace(observed, state=State.PENDING, reason="InUse", message=f"still used by {users or 'another resource'}")
        self._listing.drop(arn)
        with self._lock:
            self._details.pop(arn, None)
            self._requested.pop(arn, None)
        return None

    def adopt(self, target: Target[Certificate], observed: Observed[Certificate]) -> Observed[Certificate]:
        """Put our owner tag on it."""
        tags = tag_list({OWNER_TAG: target.owner})
        self._aws.call("acm", "add_tags_to_certificate", CertificateArn=observed.external_id, Tags=tags)
        self._tags.wrote(observed.external_id, Tagged(target.owner, observed.value.tags))
        return replace(observed, owner=target.owner)

    def owned(self, identity: Identity) -> Mapping[str, str]:
        """By the owner tag, as the tagging API knows it."""
        return owned_nodes(self._index.owners(STORM_SECONDS), identity)

    def _fresh(self, target: Target[Certificate]) -> Observed[Certificate] | None:
        arn = target.external_id or self._search(target, (*_ON_THE_WAY, "VALIDATION_TIMED_OUT", "FAILED"))
        if not arn:
            return None
        detail = self._describe(arn)
        if detail is None:
            return self._just_requested(target, arn)
        return _observed(detail, self._tags.fresh(arn))

    def _each(self, target: Target[Certificate], read: Callable[[Target[Certificate]], Observed[Certificate] | None]) -> Answer:
        try:
            return read(target)
        except ReconcileError as error:
            return error

    def _swept(self, targets: Sequence[Target[Certificate]]) -> Mapping[Key, Answer]:
        listed = self._listing.get()
        with self._lock:
            self._details = {arn: known for arn, known in self._details.items() if arn in listed}
        tags = self._tags.sweep([target.external_id for target in targets if target.external_id in listed])

        def read(target: Target[Certificate]) -> Observed[Certificate] | None:
            arn = target.external_id
            if arn not in listed or arn not in tags:
                return self._fresh(target)
            detail = self._detail(listed[arn])
            if detail is None:
                return None
            return replace(_observed(detail.value, tags[arn].value), checked_at=min(self._clock(), tags[arn].at))

        return {target.key: self._each(target, read) for target in targets}

    def _detail(self, summary: Summary) -> Read[dict[str, Any]] | None:
        """A certificate never changes but for what its summary shows; while it is being validated it is read every time."""
        with self._lock:
            known = self._details.get(summary.arn)
        if known is not None and known[0] == summary and summary.status != "PENDING_VALIDATION":
            return known[1]
        detail = self._describe(summary.arn)
        if detail is None:
            return None
        read = Read(detail, self._clock())
        with self._lock:
            self._details[summary.arn] = (summary, read)
        return read

    def _search(self, target: Target[Certificate], states: Sequence[str]) -> str:
        """ARN of a certificate that is this target's, in the first of the states, as the list shows it; "" if none."""
        return next(self._candidates(target, states), "")

    def _candidates(self, target: Target[Certificate], states: Sequence[str]) -> Iterator[str]:
        """ARNs of certificates that carry this target's owner tag and cover the wanted names."""
        want = target.desired
        if want is None or unresolved(want.domain_name, *want.names):
            return
        alike = [summary for summary in self._listing.get(STORM_SECONDS).values() if summary.status in states and summary.may_be(want)]
        for summary in sorted(alike, key=lambda summary: (states.index(summary.status), summary.arn)):
            if self._tags.fresh(summary.arn).owner == target.owner:
                yield summary.arn

    def _reusable(self, target: Target[Certificate]) -> str:
        """What an earlier try requested and is still good. The list may be old, so each is read; one that is not visible yet is ours of a moment ago."""
        for arn in self._candidates(target, _ON_THE_WAY):
            detail = self._describe(arn)
            if detail["Status"] in _ON_THE_WAY if detail else self._just_requested(target, arn) is not None:
                return arn
        return ""

    def _request(self, target: Target[Certificate], want: Certificate, token: str) -> str:
        others = sorted(want.names - {want.domain_name})
        answer = self._aws.call(
            "acm",
            "request_certificate",
            DomainName=want.domain_name,
            ValidationMethod="DNS",
            IdempotencyToken=token,
            KeyAlgorithm=want.key_algorithm,
            Tags=tag_list(tag_map(target.owner, want.tags)),
            **({"SubjectAlternativeNames": others} if others else {}),
        )
        arn = str(answer["CertificateArn"])
        with self._lock:
            self._requested[arn] = (self._clock(), want)
        self._listing.put(arn, Summary(arn, "PENDING_VALIDATION", _lower(want.names), True, want.key_algorithm))
        self._tags.wrote(arn, Tagged(target.owner, want.tags))
        return arn

    def _after_request(self, target: Target[Certificate], arn: str, want: Certificate) -> Observed[Certificate]:
        detail = self._describe(arn)
        if detail is None:
            return _pending(arn, want, target.owner)
        return _observed(detail, Tagged(target.owner, want.tags))

    def _just_requested(self, target: Target[Certificate], arn: str) -> Observed[Certificate] | None:
        """DescribeCertificate, API reference: a delay of several seconds before a new certificate can be retrieved."""
        with self._lock:
            recent = {arn: (at, want) for arn, (at, want) in self._requested.items() if at > self._clock() - LAG_SECONDS}
            self._requested = recent
        return _pending(arn, recent[arn][1], target.owner) if arn in recent else None

    def _describe(self, arn: str) -> dict[str, Any] | None:
        answer = self._aws.attempt("acm", "describe_certificate", _GONE, CertificateArn=arn)
        return None if isinstance(answer, Refusal) else answer["Certificate"]

    def _read_tags(self, arn: str) -> Tagged:
        answer = self._aws.attempt("acm", "list_tags_for_certificate", _GONE, CertificateArn=arn)
        return Tagged("", {}) if isinstance(answer, Refusal) else Tagged.of_list(answer.get("Tags", []))


def _pending(arn: str, want: Certificate, owner: str) -> Observed[Certificate]:
    attributes = {"requestedArn": arn, "status": "PENDING_VALIDATION"}
    return Observed(arn, want, State.PENDING, "Requested", "requested; ACM does not show it yet", owner=owner, attributes=attributes)


def _observed(detail: Mapping[str, Any], tagged: Tagged) -> Observed[Certificate]:
    arn, status = str(detail["CertificateArn"]), str(detail.get("Status", ""))
    value = Certificate(
        domain_name=detail["DomainName"].lower(),
        names=_lower({detail["DomainName"], *detail.get("SubjectAlternativeNames", [])}),
        tags=tagged.rest,
        key_algorithm=_algorithm(detail.get("KeyAlgorithm", "RSA_2048")),
        status=TIMED_OUT if status == TIMED_OUT else VALID,
    )
    state, reason, message = _state(status, detail)
    attributes = {"requestedArn": arn, "status": status, **dict(_validation(detail))}
    if status == "ISSUED":
        attributes["arn"] = arn
    return Observed(arn, value, state, reason, message, owner=tagged.owner, attributes=attributes, raw=detail)


def _state(status: str, detail: Mapping[str, Any]) -> tuple[State, str, str]:
    match status:
        case "ISSUED":
            return State.READY, "", ""
        case "PENDING_VALIDATION":
            waiting = sorted(option["DomainName"] for option in detail.get("DomainValidationOptions", []) if option.get("ValidationStatus") != "SUCCESS")
            return State.PENDING, "PendingValidation", f"waits until ACM sees the validation record of {', '.join(waiting) or detail['DomainName']}"
        case "VALIDATION_TIMED_OUT":
            return State.FAILED, "ValidationTimedOut", "nobody proved the names within 72 hours; it is requested again"
        case "FAILED":
            why = str(detail.get("FailureReason", "OTHER"))
            told = _FAILURES.get(why, f"ACM gives the reason {why}")
            return (
                State.FAILED,
                "CertificateFailed",
                f"{told}. A failed certificate stays failed: delete {detail['CertificateArn']} then, and a new one is requested",
            )
        case _:
            return State.FAILED, f"Certificate{status.capitalize()}", _ENDED.get(status, f"the certificate is {status}")


def validation_records(detail: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(domain, record name, record value) of every validation record ACM tells, without trailing dots."""
    for option in detail.get("DomainValidationOptions", []):
        if record := option.get("ResourceRecord"):
            yield option["DomainName"].lower(), record["Name"].rstrip(".").lower(), record["Value"].rstrip(".").lower()


def _validation(detail: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for domain, name, value in validation_records(detail):
        for spelling in {domain, domain.removeprefix("*.")}:
            yield validation_attribute("Name", spelling), name
            yield validation_attribute("Value", spelling), value


class GivenCertificateDriver:
    """`acm/given-certificate`, EXTERNAL: a certificate named by its ARN must be issued, in us-east-1, and cover the aliases."""

    type: ClassVar[str] = "acm/given-certificate"

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._listing: Listing[str, Summary] = Listing(lambda: list_certificates(aws), clock)

    def observe(self, targets: Sequence[Target[GivenCertificate]], depth: Depth) -> Mapping[Key, Answer]:
        """FRESH: DescribeCertificate. SWEEP: the list, which tells the status and the first hundred names."""
        listed = self._listing.get() if depth is Depth.SWEEP else {}
        answers: dict[Key, Answer] = {}
        for target in targets:
            try:
                answers[target.key] = self._judged(target, listed)
            except ReconcileError as error:
                answers[target.key] = error
        return answers

    def create(self, target: Target[GivenCertificate], token: str) -> Observed[GivenCertificate]:
        """Never called: a given certificate is somebody else's."""
        raise Terminal("CertificateNotFound", f"certificate {target.want().arn} does not exist")

    def update(self, target: Target[GivenCertificate], observed: Observed[GivenCertificate], changes: Sequence[Change]) -> Observed[GivenCertificate]:
        """Nothing of it is ours to change."""
        return observed

    def delete(self, target: Target[GivenCertificate], observed: Observed[GivenCertificate]) -> Observed[GivenCertificate] | None:
        """Letting go of it is all there is to do."""
        return None

    def _judged(self, target: Target[GivenCertificate], listed: Mapping[str, Summary]) -> Observed[GivenCertificate] | None:
        if target.desired is None:
            return None
        want = target.desired
        if unresolved(want.arn):
            return None
        _check_arn(want.arn)
        status, names = self._looked_up(want.arn, listed.get(want.arn))
        if status != "ISSUED":
            raise Terminal("CertificateNotIssued", f"certificate {want.arn} is {status or 'unknown'}; CloudFront takes issued ones only")
        if missing := sorted(name for name in want.names if not covers(names, name)):
            raise Terminal("CertificateDoesNotCover", f"certificate {want.arn} covers {', '.join(sorted(names))}, but not {', '.join(missing)}")
        return Observed(want.arn, want, attributes={"arn": want.arn, "requestedArn": want.arn, "status": status})

    def _looked_up(self, arn: str, summary: Summary | None) -> tuple[str, frozenset[str]]:
        if summary is not None and summary.complete:
            return summary.status, summary.names
        answer = self._aws.attempt("acm", "describe_certificate", _GONE, CertificateArn=arn)
        if isinstance(answer, Refusal):
            raise Terminal("CertificateNotFound", f"certificate {arn} does not exist in this account")
        detail = answer["Certificate"]
        return detail.get("Status", ""), _lower({detail["DomainName"], *detail.get("SubjectAlternativeNames", [])})


def _check_arn(arn: str) -> None:
    parts = arn.split(":")
    if len(parts) != 6 or parts[2] != "acm" or not parts[5].startswith("certificate/"):
        raise Terminal("InvalidCertificateArn", f"{arn} is not the ARN of an ACM certificate")
    if parts[3] != REGION:
        advice = f"CloudFront uses certificates of {REGION} only: request or import it there"
        raise Terminal("CertificateInWrongRegion", f"certificate {arn} lives in {parts[3]}; {advice}")


def _lower(names: Sequence[str] | set[str] | frozenset[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names if name)


def _algorithm(name: str) -> str:
    """DescribeCertificate writes RSA-2048 where RequestCertificate takes RSA_2048."""
    return name.replace("-", "_")
