"""The one place where errors of botocore and of AWS become the four errors of the core."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from securebase.core.errors import Denied, ReconcileError, Terminal, Transient
from securebase.telemetry.redaction import hide_patterns

RawError: TypeAlias = boto.BotoCoreError | boto.ClientError | ResponseParserError
RAW_ERRORS = (boto.BotoCoreError, boto.ClientError, ResponseParserError)
"""Everything botocore raises for a request. (A parser's error is no BotoCoreError.)"""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, for the words of the error. `operation` as AWS writes it: `CreateDistribution`."""

    service: str
    operation: str
    account_id: str = ""
    region: str = ""
    arn: str = ""

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True, slots=True)
class Answer:
    """AWS's error, redacted."""

    code: str
    status: int
    message: str
    request: Request

    def __str__(self) -> str:
        return f"{self.request}: {self.message or self.code}"


THROTTLED = re.compile(
    r"Throttl\w*|RequestThrottl\w*|EC2Throttled\w*|TooManyRequests\w*|RequestLimitExceeded|SlowDown|BandwidthLimitExceeded|"
    r"ProvisionedThroughputExceeded\w*|PriorRequestNotComplete|APICallRateFor\w+Exceeded\w*|429"
)
"""Codes that mean "slower", as botocore's own retries know them. `LimitExceededException` is not among them: in ACM, CloudWatch Logs
and others it is a quota."""

UNAUTHENTICATED = re.compile(
    r"ExpiredToken\w*|InvalidClientTokenId|UnrecognizedClient\w*|InvalidAccessKeyId|SignatureDoesNotMatch|IncompleteSignature\w*|"
    r"MissingAuthenticationToken\w*|InvalidToken|InvalidIdentityToken|ExpiredTokenException|AuthFailure|RequestTimeTooSkewed|RequestExpired|"
    r"InvalidSignature\w*|NotSignedUp|OptInRequired|SubscriptionRequiredException"
)
"""The credentials themselves are not accepted."""

UNAUTHORIZED = re.compile(r"AccessDenied\w*|UnauthorizedOperation|UnauthorizedAccess|AuthorizationError\w*|NotAuthorized\w*|Forbidden|401|403")
"""The credentials are accepted, the action is not. S3 answers HEAD without a body, so its code is the bare status."""

CHANGED = re.compile(
    r"PreconditionFailed|InvalidIfMatchVersion|412|Concurrent\w*|OperationAborted|ConditionalRequestConflict|ConflictException|"
    r"ResourceConflictException|TransactionInProgress\w*|OptimisticLock\w*"
)
"""Somebody else wrote between our read and our write."""

NOT_YET = re.compile(r"Invalid\w*State\w*|Invalid(Next|Pagination)Token\w*|InvalidMarker")
"""Begin like a bad parameter, but go away: the resource is busy, or a list's position has lapsed."""

QUOTA = re.compile(r"TooMany\w+|\w*LimitExceeded\w*|\w*LimitsExceeded\w*|\w*QuotaExceeded\w*|MaxActive\w*|TooManyBuckets")
"""The account holds as much as AWS lets it hold."""

TOO_BIG = re.compile(r"\w*SizeLimitExceeded|BatchTooLarge|\w*TooLarge|\w*TooLong\w*|\w*SizeExceeded\w*")
"""A limit of one document, which no quota request raises."""

INVALID = re.compile(
    r"Invalid\w*|Malformed\w*|Illegal\w*|Inconsistent\w*|Missing\w*|ValidationError|ValidationException|BadRequest\w*|"
    r"CNAMEAlreadyExists|NoSuchOrigin|Unsupported\w*|NotImplemented|\w*Unsupported\w*|ParamValidation\w*|UnknownParameter\w*|"
    r"TrustedSignerDoesNotExist|TrustedKeyGroupDoesNotExist|CannotChangeImmutablePublicKeyFields|CannotUpdate\w*|KeyConflict"
)
"""AWS does not accept what the spec asks for. `NoSuch*` and `*AlreadyExists` are not here in general: what one pass misses, the next may see."""

WORDS = {
    "CNAMEAlreadyExists": "another distribution, perhaps of another account, already serves one of the aliases; move the alias from it "
    "(https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/alternate-domain-names-move.html) or drop it here",
    "InvalidViewerCertificate": "CloudFront cannot use the certificate: it must be issued, cover every alias and live in us-east-1",
    "InvalidWebACLId": "the web ACL must be a WAFv2 ACL of scope CLOUDFRONT, given by its ARN",
    "NoSuchOrigin": "a behaviour points to an origin that the distribution does not have",
    "IllegalUpdate": "AWS does not let this field be changed on an existing resource",
}
"""What to do about codes whose own message helps little."""

QUOTA_SERVICES = {"cloudfront", "cloudwatch", "route53", "acm", "sns", "s3", "logs", "elasticache", "rds", "lambda", "kms", "backup"}
QUOTA_CODES = {"cloudwatch": "monitoring"}
"""Service code in Service Quotas, where it is not boto3's name."""

ACTION_NAMES = {("s3", "HeadBucket"): "ListBucket", ("s3", "ListBuckets"): "ListAllMyBuckets", ("s3", "HeadObject"): "GetObject"}
"""IAM actions that are named otherwise than their operation
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html)."""
ACTION_PREFIXES = {"resourcegroupstaggingapi": "tag", "elbv2": "elasticloadbalancing", "stepfunctions": "states"}

NOT_AUTHORIZED = re.compile(
    r"(?:User: )?(?P<who>arn:\S+)? ?is not authorized to perform:? ?(?P<action>[\w-]+:\w+)(?: on resource: \"?(?P<arn>[^\s\"]+)\"?)?"
    r"(?: because (?P<why>.*)| (?P<with>with .*))?",
    re.DOTALL,
)
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""


def error_code(error: RawError) -> str:
    """AWS's error code, or a short name of what went wrong before AWS could answer. A bounded set: fit for a label."""
    match error:
        case boto.ClientError():
            return str(error.response.get("Error", {}).get("Code") or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "Unknown"))
        case _:
            return type(error).__name__.removesuffix("Error")


def is_throttling(code: str) -> bool:
    """Whether the code asks for fewer requests."""
    return THROTTLED.fullmatch(code) is not None


def translate(error: RawError, request: Request, redact: Callable[[str], str] = hide_patterns) -> ReconcileError:
    """The core's error. Its text passes `redact`: AWS repeats parameters in its messages."""
    if not isinstance(error, boto.ClientError):
        build = next((build for kinds, build in UNANSWERED if isinstance(error, kinds)), _unknown)
        return build(error, request, redact(_flat(error)))
    if error.operation_name == "AssumeRole" and request.operation != "AssumeRole":
        request = Request("sts", "AssumeRole", request.account_id, request.region)
    said = error.response.get("Error", {})
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    answer = Answer(error_code(error), status, redact(str(said.get("Message") or "").strip()), request)
    return next((build(answer) for family, statuses, build in ANSWERED if family.fullmatch(answer.code) or status in statuses), None) or Transient(
        answer.code, str(answer)
    )


def _denied(answer: Answer) -> ReconcileError:
    found = NOT_AUTHORIZED.search(answer.message)
    if found is None:
        return Denied(_action(answer.request), answer.request.arn, answer.message or answer.code)
    why = found["why"] or found["with"] or "no policy allows it"
    return Denied(found["action"], found["arn"] or answer.request.arn, f"{found['who'] or 'the operator'} may not: {why.strip()}")


def _not_accepted(answer: Answer) -> ReconcileError:
    return Denied(_action(answer.request), answer.request.arn, f"the credentials are not accepted ({answer.code}): {answer.message}")


def _no_credentials(_: Exception, request: Request, text: str) -> ReconcileError:
    return Denied(_action(request), request.arn, f"no usable AWS credentials: {text}")


def _invalid(answer: Answer) -> ReconcileError:
    return Terminal(answer.code, f"{answer} ({WORDS[answer.code]})" if answer.code in WORDS else str(answer))


def _used_up(answer: Answer) -> ReconcileError:
    return Terminal(answer.code, f"{answer}. {_quota_advice(answer.code, answer.request)}")


def _unknown(error: Exception, request: Request, text: str) -> ReconcileError:
    return Transient(type(error).__name__.removesuffix("Error"), f"{request}: {text}")


def _transient(reason: str) -> Callable[[Answer], ReconcileError]:
    return lambda answer: Transient(reason or answer.code, str(answer))


def _local(build: Callable[[str, str], ReconcileError], reason: str, advice: str = "") -> Callable[[Exception, Request, str], ReconcileError]:
    return lambda _, request, text: build(reason, f"{request}: {text}{advice}")


def _action(request: Request) -> str:
    name = ACTION_NAMES.get((request.service, request.operation), request.operation)
    return f"{ACTION_PREFIXES.get(request.service, request.service)}:{name}"


def _quota_advice(code: str, request: Request) -> str:
    noun = re.sub(r"(Exception|Fault)$", "", code)
    noun = re.sub(r"^TooMany|(Limits?|Quota)Exceeded", "", noun)
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", noun).split()
    noun = " ".join(word.lower() if word[1:].islower() else word for word in words)
    where = " ".join(part for part in (f"account {request.account_id}" if request.account_id else "the account", request.region) if part)
    name = QUOTA_CODES.get(request.service, request.service)
    page = f"https://console.aws.amazon.com/servicequotas/home/services/{name}/quotas" if request.service in QUOTA_SERVICES else "Service Quotas"
    return f"The quota for {noun or request.service + ' resources'} in {where} is used up: remove some, or ask for more at {page}"


def _flat(error: Exception) -> str:
    """One line: botocore reports every wrong parameter on a line of its own, and a parser's error may carry a whole page."""
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())[:1000]


ANSWERED: tuple[tuple[re.Pattern[str], range | tuple[int, ...], Callable[[Answer], ReconcileError]], ...] = (
    (THROTTLED, (429,), _transient("Throttled")),
    (UNAUTHENTICATED, (), _not_accepted),
    (UNAUTHORIZED, (401, 403), _denied),
    (CHANGED, (412,), _transient("ChangedMeanwhile")),
    (NOT_YET, range(500, 600), _transient("")),
    (TOO_BIG, (), _invalid),
    (QUOTA, (), _used_up),
    (INVALID, (), _invalid),
)
"""Codes or HTTP statuses of an answer, and what becomes of it. The first that fits counts: the families overlap."""

UNANSWERED: tuple[tuple[tuple[type[Exception], ...], Callable[[Exception, Request, str], ReconcileError]], ...] = (
    ((boto.ParamValidationError,), _local(Terminal, "InvalidParameter")),
    ((boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError, boto.TokenRetrievalError, boto.SSOError), _no_credentials),
    ((boto.ConnectTimeoutError, boto.ReadTimeoutError), _local(Transient, "TimedOut")),
    ((boto.SSLError,), _local(Transient, "TlsFailed", "; check the CA bundle (AWS_CA_BUNDLE) and the proxies in between")),
    ((boto.HTTPClientError, boto.ConnectionError), _local(Transient, "Unreachable")),
    ((boto.PaginationError,), _local(Transient, "ListDidNotAdvance")),
    ((boto.NoRegionError, boto.InvalidRegionError, boto.EndpointProviderError, boto.UnknownServiceError), _local(Terminal, "InvalidEndpoint")),
    ((ResponseParserError,), _local(Transient, "UnreadableAnswer")),
)
"""What went wrong without an answer of AWS's. The first that fits counts."""
