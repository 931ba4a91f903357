"""Every kind of AWS error becomes the right one of the four, in words that name what to do."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from securebase.clients.aws_errors import Request, error_code, is_throttling, translate
from securebase.core.errors import Denied, ReconcileError, Terminal, Transient

REQUEST = Request("cloudfront", "CreateCachePolicy", "111122223333", "us-east-1", "arn:aws:cloudfront::111122223333:cache-policy/p")


def answered(code: str, status: int = 400, message: str = "AWS's words", operation: str = "CreateCachePolicy") -> boto.ClientError:
    return boto.ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation)  # type: ignore[typeddict-item]


def translated(code: str, status: int = 400, message: str = "AWS's words") -> ReconcileError:
    return translate(answered(code, status, message), REQUEST)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("Throttling", 400),
        ("ThrottlingException", 400),
        ("ThrottledException", 400),
        ("RequestThrottledException", 400),
        ("TooManyRequestsException", 429),
        ("RequestLimitExceeded", 503),
        ("SlowDown", 503),
        ("PriorRequestNotComplete", 400),
        ("Whatever", 429),
    ],
)
def test_throttling_is_transient_and_no_quota(code: str, status: int) -> None:
    error = translated(code, status)
    assert isinstance(error, Transient)
    assert error.reason == "Throttled"


@pytest.mark.parametrize(
    ("code", "status", "kind", "reason"),
    [
        ("InternalError", 500, Transient, "InternalError"),
        ("ServiceUnavailable", 503, Transient, "ServiceUnavailable"),
        ("InvalidSomething", 500, Transient, "InvalidSomething"),
        ("PreconditionFailed", 412, Transient, "ChangedMeanwhile"),
        ("InvalidIfMatchVersion", 400, Transient, "ChangedMeanwhile"),
        ("OperationAborted", 409, Transient, "ChangedMeanwhile"),
        ("InvalidStateException", 400, Transient, "InvalidStateException"),
        ("InvalidReplicationGroupState", 400, Transient, "InvalidReplicationGroupState"),
        ("NoSuchDistribution", 404, Transient, "NoSuchDistribution"),
        ("DistributionAlreadyExists", 409, Transient, "DistributionAlreadyExists"),
        ("SomethingNobodyHasSeen", 418, Transient, "SomethingNobodyHasSeen"),
        ("InvalidArgument", 400, Terminal, "InvalidArgument"),
        ("InvalidTTLOrder", 400, Terminal, "InvalidTTLOrder"),
        ("MalformedPolicy", 400, Terminal, "MalformedPolicy"),
        ("ValidationError", 400, Terminal, "ValidationError"),
        ("CNAMEAlreadyExists", 409, Terminal, "CNAMEAlreadyExists"),
        ("IllegalUpdate", 400, Terminal, "IllegalUpdate"),
        ("InconsistentQuantities", 400, Terminal, "InconsistentQuantities"),
        ("FunctionSizeLimitExceeded", 413, Terminal, "FunctionSizeLimitExceeded"),
        ("TooManyCachePolicies", 400, Terminal, "TooManyCachePolicies"),
        ("LimitExceededException", 400, Terminal, "LimitExceededException"),
        ("ServiceQuotaExceededException", 402, Terminal, "ServiceQuotaExceededException"),
        ("AccessDenied", 403, Denied, "AccessDenied"),
        ("UnauthorizedOperation", 403, Denied, "AccessDenied"),
        ("AuthorizationError", 403, Denied, "AccessDenied"),
        ("403", 403, Denied, "AccessDenied"),
        ("ExpiredToken", 403, Denied, "AccessDenied"),
        ("ExpiredTokenException", 400, Denied, "AccessDenied"),
        ("InvalidClientTokenId", 403, Denied, "AccessDenied"),
        ("UnrecognizedClientException", 400, Denied, "AccessDenied"),
        ("SignatureDoesNotMatch", 403, Denied, "AccessDenied"),
    ],
)
def test_codes_have_their_family(code: str, status: int, kind: type[ReconcileError], reason: str) -> None:
    error = translated(code, status)
    assert type(error) is kind
    assert error.reason == reason


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("TooManyCachePolicies", "quota for cache policies in account 111122223333"),
        ("TooManyDistributionCNAMEs", "quota for distribution CNAMEs"),
        ("TooManyOriginRequestPoliciesFault", "quota for origin request policies"),
        ("TopicLimitExceededException", "quota for topic"),
        ("LimitExceededException", "quota for cloudfront resources"),
    ],
)
def test_a_quota_is_named_and_how_to_raise_it(code: str, words: str) -> None:
    message = translated(code).message
    assert words in message
    assert "https://console.aws.amazon.com/servicequotas/home/services/cloudfront/quotas" in message


def test_a_taken_alias_says_what_to_do() -> None:
    assert "another distribution" in translated("CNAMEAlreadyExists").message


@pytest.mark.parametrize(
    ("message", "action", "arn", "who"),
    [
        (
            "User: arn:aws:sts::1:assumed-role/x/y is not authorized to perform: cloudfront:CreateDistribution on resource: "
            "arn:aws:cloudfront::1:distribution/* because no identity-based policy allows the cloudfront:CreateDistribution action",
            "cloudfront:CreateDistribution",
            "arn:aws:cloudfront::1:distribution/*",
            "arn:aws:sts::1:assumed-role/x/y may not: no identity-based policy allows",
        ),
        (
            'User: arn:aws:iam::1:user/u is not authorized to perform: s3:GetBucketPolicy on resource: "arn:aws:s3:::b" with an explicit deny',
            "s3:GetBucketPolicy",
            "arn:aws:s3:::b",
            "arn:aws:iam::1:user/u may not: with an explicit deny",
        ),
        ("User: arn:aws:iam::1:user/u is not authorized to perform: acm:ListCertificates", "acm:ListCertificates", REQUEST.arn, "user/u may not"),
        ("Access Denied", "cloudfront:CreateCachePolicy", REQUEST.arn, "Access Denied"),
    ],
)
def test_denied_says_which_action_on_which_arn(message: str, action: str, arn: str, who: str) -> None:
    error = translated("AccessDenied", 403, message)
    assert isinstance(error, Denied)
    assert (error.action, error.arn) == (action, arn)
    assert who in error.message


def test_denied_falls_back_to_iams_name_of_the_operation() -> None:
    error = translate(answered("403", 403, "Forbidden"), Request("s3", "HeadBucket", arn="arn:aws:s3:::b"))
    assert isinstance(error, Denied)
    assert (error.action, error.arn) == ("s3:ListBucket", "arn:aws:s3:::b")


def test_a_role_that_cannot_be_assumed_is_not_blamed_on_the_call() -> None:
    refused = answered("AccessDenied", 403, "no", operation="AssumeRole")
    error = translate(refused, REQUEST)
    assert isinstance(error, Denied)
    assert error.action == "sts:AssumeRole"


@pytest.mark.parametrize(
    ("raw", "kind", "reason"),
    [
        (boto.EndpointConnectionError(endpoint_url="http://127.0.0.1:1", error="refused"), Transient, "Unreachable"),
        (boto.ConnectTimeoutError(endpoint_url="http://127.0.0.1:1", error="slow"), Transient, "TimedOut"),
        (boto.ReadTimeoutError(endpoint_url="http://127.0.0.1:1", error="slow"), Transient, "TimedOut"),
        (boto.ConnectionClosedError(endpoint_url="http://127.0.0.1:1", error="reset"), Transient, "Unreachable"),
        (boto.SSLError(endpoint_url="https://127.0.0.1:1", error=OSError("bad certificate")), Transient, "TlsFailed"),
        (boto.NoCredentialsError(), Denied, "AccessDenied"),
        (boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"), Denied, "AccessDenied"),
        (boto.CredentialRetrievalError(provider="web-identity", error_msg="token file is gone"), Denied, "AccessDenied"),
        (boto.ParamValidationError(report="Missing required parameter"), Terminal, "InvalidParameter"),
        (boto.NoRegionError(), Terminal, "InvalidEndpoint"),
        (boto.PaginationError(message="The same next token was received twice"), Transient, "ListDidNotAdvance"),
        (ResponseParserError("not XML"), Transient, "UnreadableAnswer"),
        (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), Transient, "IncompleteRead"),
    ],
)
def test_what_goes_wrong_before_aws_answers(raw: boto.BotoCoreError, kind: type[ReconcileError], reason: str) -> None:
    error = translate(raw, REQUEST)
    assert type(error) is kind
    assert error.reason == reason


def test_messages_hold_no_secret() -> None:
    error = translate(answered("InvalidArgument", message="bad header hunter2-hunter2"), REQUEST, lambda text: text.replace("hunter2-hunter2", "***"))
    assert "hunter2" not in str(error)
    assert "hunter2" not in str(translate(boto.ParamValidationError(report="value: password=hunter2-hunter2"), REQUEST))


def test_codes_are_short_names() -> None:
    assert error_code(answered("NoSuchDistribution")) == "NoSuchDistribution"
    assert error_code(boto.ClientError({"ResponseMetadata": {"HTTPStatusCode": 404}}, "HeadBucket")) == "404"  # type: ignore[typeddict-item]
    assert error_code(boto.ReadTimeoutError(endpoint_url="x", error="y")) == "ReadTimeout"
    assert is_throttling("Throttling")
    assert not is_throttling("TooManyCachePolicies")
