"""ACM: validation that waits for DNS, records that come late, tokens that lapse, and certificates in use.

Mirrors the ACM API reference (RequestCertificate, DescribeCertificate, DeleteCertificate) and the ACM User Guide ("DNS validation":
one CNAME per domain and account, shared by every certificate; "Certificate validation times out": 72 hours). moto keeps the certificates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lab.aws.context import Lab
from lab.aws.wire import AwsFault, Call, Reply, answer, result_of, rewrite

TOKEN_LIFE_S = 3600.0
_MOST_ITEMS = 1000


def validation_record(account: str, domain: str) -> tuple[str, str]:
    """Name and value (without last dots) of the CNAME that proves `domain` for `account`; a wildcard shares its parent's."""
    base = domain.removeprefix("*.").lower()
    digest = hashlib.md5(f"{account}/{base}".encode(), usedforsecurity=False).hexdigest()
    other = hashlib.md5(f"{account}/{base}/value".encode(), usedforsecurity=False).hexdigest()
    return f"_{digest}.{base}", f"_{other}.{other[:10]}.acm-validations.aws"


@dataclass(slots=True)
class Certificate:
    """A certificate as far as moto does not know it."""

    lab: Lab
    arn: str
    account: str
    region: str
    domain: str
    names: tuple[str, ...]
    requested_at: float
    created: datetime
    kind: str = "AMAZON_ISSUED"
    by_dns: bool = True
    forced: str = ""
    reason: str = ""
    issued_on: datetime | None = None

    def covers(self, alias: str) -> bool:
        """A wildcard stands for exactly one label (ACM User Guide, "ACM certificate characteristics")."""
        lowered = {name.lower() for name in self.names}
        return alias.lower() in lowered or f"*.{alias.partition('.')[2]}".lower() in lowered

    def validated(self, domain: str) -> bool:
        name, value = validation_record(self.account, domain)
        record = self.lab.dns.get(name)
        return record is not None and record.value == value

    @property
    def status(self) -> str:
        if self.forced:
            return self.forced
        if self.kind != "AMAZON_ISSUED":
            return "ISSUED"
        now = self.lab.clock()
        if self.issued_on is None and self.by_dns and all(self.validated(name) for name in self.names):
            since = max(self.lab.dns[validation_record(self.account, name)[0]].since for name in self.names)
            if now >= max(since, self.requested_at) + self.lab.settings.certificate_issue_s:
                self.issued_on = datetime.now(UTC)
        if self.issued_on is not None:
            return "ISSUED"
        return "VALIDATION_TIMED_OUT" if now > self.requested_at + self.lab.settings.certificate_timeout_s else "PENDING_VALIDATION"


class Acm:
    services = frozenset({"acm"})

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.reset()

    def reset(self) -> None:
        self.certificates: dict[str, Certificate] = {}
        self._tokens: dict[tuple[str, ...], tuple[str, float]] = {}
        self._doomed: dict[str, tuple[str, str]] = {}

    def force(self, domain: str, status: str, reason: str = "") -> None:
        """Certificates of `domain`, present and to come, have this status: FAILED with CAA_ERROR, VALIDATION_TIMED_OUT, ...; '' undoes it."""
        self._doomed[domain] = (status, reason)
        for certificate in self.certificates.values():
            if certificate.domain == domain:
                certificate.forced, certificate.reason = status, reason

    async def before(self, call: Call) -> Reply | None:
        arn = call.params.get("CertificateArn", "")
        certificate = self.certificates.get(arn)
        match call.operation:
            case "RequestCertificate":
                return self._repeated(call)
            case "DescribeCertificate" if certificate is not None:
                # "After ... RequestCertificate ... there is a delay of several seconds before you can retrieve information about it".
                if self._lab.clock() < certificate.requested_at + self._lab.settings.certificate_visible_s:
                    raise AwsFault("ResourceNotFoundException", f"Could not find certificate {arn}.")
            case "DeleteCertificate" if users := self._lab.certificate_users.get(arn):
                raise AwsFault("ResourceInUseException", f"Certificate {arn} in account {call.account} is in use by {', '.join(sorted(users))}.")
            case "ListCertificates":
                return self._listed(call)
        return None

    def _token(self, call: Call) -> tuple[str, ...]:
        return (call.account, call.region, call.params.get("IdempotencyToken", ""), call.params["DomainName"])

    def _repeated(self, call: Call) -> Reply | None:
        """RequestCertificate, IdempotencyToken: one certificate for the same token within an hour."""
        key = self._token(call)
        arn, at = self._tokens.get(key, ("", 0.0))
        if key[2] and arn in self.certificates and self._lab.clock() - at < TOKEN_LIFE_S:
            return answer(call, {"CertificateArn": arn})
        # moto has tokens too, on a clock that cannot be advanced: it is never told ours.
        params = call.params
        rewrite(call, {name: value for name, value in params.items() if name != "IdempotencyToken"})
        call.params = params
        return None

    async def after(self, call: Call, reply: Reply) -> Reply:
        if not reply.ok:
            return reply
        match call.operation:
            case "RequestCertificate":
                self._note_request(call, result_of(call, reply)["CertificateArn"])
            case "ImportCertificate":
                await self._note_import(call, result_of(call, reply)["CertificateArn"])
            case "DeleteCertificate":
                self.certificates.pop(call.params["CertificateArn"], None)
                self._lab.certificates.pop(call.params["CertificateArn"], None)
            case "DescribeCertificate" if call.params["CertificateArn"] in self.certificates:
                described = result_of(call, reply)["Certificate"]
                return answer(call, {"Certificate": self._described(self.certificates[call.params["CertificateArn"]], described)})
        return reply

    def _note_request(self, call: Call, arn: str) -> None:
        names = tuple(dict.fromkeys([call.params["DomainName"], *call.params.get("SubjectAlternativeNames", [])]))
        by_dns = call.params.get("ValidationMethod", "EMAIL") == "DNS"
        certificate = Certificate(self._lab, arn, call.account, call.region, names[0], names, self._lab.clock(), datetime.now(UTC), by_dns=by_dns)
        certificate.forced, certificate.reason = self._doomed.get(names[0], ("", ""))
        self._add(certificate)
        if call.params.get("IdempotencyToken"):
            self._tokens[self._token(call)] = (arn, self._lab.clock())

    async def _note_import(self, call: Call, arn: str) -> None:
        described = (await self._lab.backends.ask("acm", "DescribeCertificate", {"CertificateArn": arn}, call.account, call.region))["Certificate"]
        names = tuple(dict.fromkeys([described["DomainName"], *described.get("SubjectAlternativeNames", [])]))
        self._add(Certificate(self._lab, arn, call.account, call.region, names[0], names, self._lab.clock(), datetime.now(UTC), "IMPORTED"))

    def _add(self, certificate: Certificate) -> None:
        self.certificates[certificate.arn] = certificate
        self._lab.certificates[certificate.arn] = certificate

    def _described(self, certificate: Certificate, described: dict[str, Any]) -> dict[str, Any]:
        status = certificate.status
        users = sorted(self._lab.certificate_users.get(certificate.arn, ()))
        result = described | {
            "Status": status,
            "InUseBy": users,
            "SubjectAlternativeNames": list(certificate.names),
            "KeyAlgorithm": "RSA-2048",
        }
        if certificate.kind != "AMAZON_ISSUED":
            return result
        result["DomainValidationOptions"] = [self._validation(certificate, name, status) for name in certificate.names]
        result["RenewalEligibility"] = "ELIGIBLE" if users and status == "ISSUED" else "INELIGIBLE"
        if status != "ISSUED":
            for name in ("IssuedAt", "NotBefore", "NotAfter", "Serial", "Issuer"):
                result.pop(name, None)
        elif certificate.issued_on is not None:
            result["IssuedAt"] = certificate.issued_on
        if certificate.reason:
            result["FailureReason"] = certificate.reason
        return result

    def _validation(self, certificate: Certificate, domain: str, status: str) -> dict[str, Any]:
        option: dict[str, Any] = {
            "DomainName": domain,
            "ValidationDomain": domain,
            "ValidationMethod": "DNS" if certificate.by_dns else "EMAIL",
        }
        failed = status in ("FAILED", "VALIDATION_TIMED_OUT")
        option["ValidationStatus"] = "FAILED" if failed else "SUCCESS" if status == "ISSUED" else "PENDING_VALIDATION"
        # The record is missing from the first answers after a request; the field is optional in DomainValidation.
        if certificate.by_dns and self._lab.clock() >= certificate.requested_at + self._lab.settings.certificate_record_s:
            name, value = validation_record(certificate.account, domain)
            option["ResourceRecord"] = {"Name": f"{name}.", "Type": "CNAME", "Value": f"{value}."}
        return option

    def _mine(self, call: Call) -> Iterator[Certificate]:
        visible = self._lab.settings.certificate_visible_s
        for certificate in self.certificates.values():
            if (certificate.account, certificate.region) == (
                call.account,
                call.region,
            ) and self._lab.clock() >= certificate.requested_at + visible:
                yield certificate

    def _listed(self, call: Call) -> Reply:
        """ListCertificates with CertificateStatuses, MaxItems and NextToken; moto knows neither our statuses nor pages."""
        wanted = call.params.get("CertificateStatuses")
        summaries = [self._summary(certificate) for certificate in self._mine(call)]
        chosen = [summary for summary in summaries if not wanted or summary["Status"] in wanted]
        start, size = int(call.params.get("NextToken") or 0), int(call.params.get("MaxItems") or _MOST_ITEMS)
        result: dict[str, Any] = {"CertificateSummaryList": chosen[start : start + size]}
        if start + size < len(chosen):
            result["NextToken"] = str(start + size)
        return answer(call, result)

    def _summary(self, certificate: Certificate) -> dict[str, Any]:
        return {
            "CertificateArn": certificate.arn,
            "DomainName": certificate.domain,
            "SubjectAlternativeNameSummaries": list(certificate.names[:100]),
            "HasAdditionalSubjectAlternativeNames": len(certificate.names) > 100,
            "Status": certificate.status,
            "Type": certificate.kind,
            "KeyAlgorithm": "RSA-2048",
            "InUse": bool(self._lab.certificate_users.get(certificate.arn)),
            "RenewalEligibility": "INELIGIBLE",
            "CreatedAt": certificate.created,
        }
