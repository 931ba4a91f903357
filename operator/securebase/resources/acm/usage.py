"""Whether any certificate of the account, whatever its region, still needs a validation record."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from securebase.clients.aws import AwsScope, Refusal
from securebase.core.errors import Denied, ReconcileError, Transient, Waiting
from securebase.core.identity import Identity
from securebase.resources.acm.driver import Summary, list_certificates, validation_records
from securebase.resources.tagging import Tagged

SHARED_SECONDS: Final = 30.0
"""How long the removals of one object's records share a look at the other regions."""

_THREADS: Final = 4
_LOOK_SECONDS: Final = 30.0
"""No region is begun later than this after the first; the next try goes on with those that are left."""
_TURN_SECONDS: Final = 10.0

# Every status but DISABLED. A disabled region holds nothing that is renewed, and refuses the credentials just as an enabled opt-in
# region refuses a token of STS's global endpoint (IAM User Guide, Managing AWS STS in an AWS Region): a refusal proves nothing.
_ENABLED: Final = ("ENABLED", "ENABLED_BY_DEFAULT", "ENABLING", "DISABLING")
_NEEDS_IT: Final = ("ISSUED", "PENDING_VALIDATION")
_GONE: Final = ("ResourceNotFoundException",)


@dataclass(frozen=True, slots=True)
class Usage:
    """`user`: ARN of a certificate that needs the record. `untold`: why a region, or the list of them, could not be asked."""

    user: str = ""
    untold: ReconcileError | None = None


class ValidationUsage:
    """Looks at the own region anew each time, at the others once for all who ask within `SHARED_SECONDS`. Thread-safe.

    ACM lists 1 request a second and region, and an account has some 17 to 34 regions. Each gets a client only while it is asked.
    """

    def __init__(self, aws: AwsScope, clock: Callable[[], float]) -> None:
        self._aws = aws
        self._clock = clock
        self._turn = threading.Lock()
        self._looked: dict[str, tuple[float, tuple[Summary, ...]]] = {}

    def of(self, name: str, identity: Identity) -> Usage:
        """Who needs the record `name`, other than this identity's certificates: they go with it. Raises what the own region answers."""
        if user := self._user(self._aws, list_certificates(self._aws).values(), name, identity):
            return Usage(user)
        listed, untold = self._elsewhere()
        for region, summaries in sorted(listed.items()):
            try:
                with self._aws.elsewhere(region) as aws:
                    user = self._user(aws, summaries, name, identity)
            except Waiting:
                raise
            except ReconcileError as error:
                untold[region] = error
                continue
            if user:
                return Usage(user)
        return Usage("", _together(untold))

    def tidy(self) -> None:
        """Let go of what nobody shares any more."""
        if self._turn.acquire(blocking=False):
            try:
                self._forget_old()
            finally:
                self._turn.release()

    def _elsewhere(self) -> tuple[dict[str, tuple[Summary, ...]], dict[str, ReconcileError]]:
        """By region, its certificates, or why they could not be listed. Failures are not shared: the next who asks tries again."""
        if not self._turn.acquire(timeout=_TURN_SECONDS):
            raise Waiting("LookingForUses", "the certificates of the account's other regions are being listed")
        try:
            self._forget_old()
            try:
                regions = self._regions()
            except Waiting:
                raise
            except ReconcileError as error:
                return {}, {"": error}
            missing = sorted(regions - self._looked.keys())
            until = self._clock() + _LOOK_SECONDS
            with ThreadPoolExecutor(_THREADS, "regions") as pool:
                answers = dict(zip(missing, pool.map(lambda region: self._list(region, until), missing), strict=True))
            untold = {region: answer for region, answer in answers.items() if isinstance(answer, ReconcileError)}
            now = self._clock()
            self._looked |= {region: (now, answer) for region, answer in answers.items() if not isinstance(answer, ReconcileError)}
            return {region: self._looked[region][1] for region in regions - untold.keys()}, untold
        finally:
            self._turn.release()

    def _regions(self) -> frozenset[str]:
        """The other regions that the account uses. From Account Management: botocore's own list may lack the newest ones."""
        with self._aws.elsewhere(self._aws.region) as aws:
            pages = aws.pages("account", "list_regions", RegionOptStatusContains=list(_ENABLED))
            return frozenset(region["RegionName"] for page in pages for region in page.get("Regions", [])) - {self._aws.region}

    def _list(self, region: str, until: float) -> tuple[Summary, ...] | ReconcileError:
        if self._clock() > until:
            return Transient("TimedOut", "acm:ListCertificates: not asked yet, as other regions took long to answer")
        try:
            with self._aws.elsewhere(region) as aws:
                return tuple(summary for summary in list_certificates(aws).values() if summary.status in _NEEDS_IT)
        except ReconcileError as error:
            return error

    def _forget_old(self) -> None:
        now = self._clock()
        self._looked = {region: look for region, look in self._looked.items() if now - look[0] < SHARED_SECONDS}

    def _user(self, aws: AwsScope, summaries: Iterable[Summary], name: str, identity: Identity) -> str:
        domain, ours = name.partition(".")[2], identity.owner("")
        for summary in summaries:
            alike = not summary.complete or any(covered.removeprefix("*.") == domain for covered in summary.names)
            if alike and summary.status in _NEEDS_IT and _needs(aws, summary.arn, name) and not _owner(aws, summary.arn).startswith(ours):
                return summary.arn
        return ""


def _needs(aws: AwsScope, arn: str, name: str) -> bool:
    """Whether it is validated by this record, or may yet be: ACM tells a new certificate's records seconds after the request."""
    answer = aws.attempt("acm", "describe_certificate", _GONE, CertificateArn=arn)
    if isinstance(answer, Refusal):
        return False
    detail = answer["Certificate"]
    told = {domain: record for domain, record, _ in validation_records(detail)}
    domains = {domain.lower() for domain in (detail["DomainName"], *detail.get("SubjectAlternativeNames", []))}
    parent = name.partition(".")[2]
    return name in told.values() or any(domain.removeprefix("*.") == parent for domain in domains - told.keys())


def _owner(aws: AwsScope, arn: str) -> str:
    answer = aws.attempt("acm", "list_tags_for_certificate", _GONE, CertificateArn=arn)
    return "" if isinstance(answer, Refusal) else Tagged.of_list(answer.get("Tags", [])).owner


def _together(untold: Mapping[str, ReconcileError]) -> ReconcileError | None:
    """One error for all of the regions: what needs only time first, then what may go away, then the lack of a permission."""
    if not untold:
        return None
    first, *others = sorted(untold, key=lambda region: (not isinstance(untold[region], Waiting), isinstance(untold[region], Denied), region))
    where = f"in {first or 'the account'}" + (f" (and as little in {', '.join(others)})" if others else "")
    match untold[first]:
        case Waiting() as error:
            return error
        case Denied() as error:
            return Denied(error.action, error.arn, f"{where}: {error.message}")
        case error:
            return Transient(error.reason, f"{where}: {error.message}")
