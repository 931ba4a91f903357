"""What is logged, and what never is."""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
import threading
import urllib.parse
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securebase.telemetry.logging import QUIET, Style, configure
from securebase.telemetry.redaction import HIDDEN, MOST_VALUES, Redactor, hide_patterns

SECRET = "correct horse\nbattery/staple+42"
Configure = Callable[..., io.StringIO]


@pytest.fixture
def redactor() -> Redactor:
    made = Redactor()
    made.register(SECRET)
    return made


@pytest.fixture
def configured(redactor: Redactor) -> Iterator[Configure]:
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}

    def start(**given: Any) -> io.StringIO:
        stream = io.StringIO()
        configure(redactor, stream=stream, **given)
        return stream

    yield start
    root.handlers[:], (sys.excepthook, threading.excepthook) = handlers, hooks
    root.setLevel(level)
    logging.captureWarnings(False)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def last(stream: io.StringIO) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return record


def test_a_record_is_one_json_object(configured: Configure) -> None:
    stream = configured()
    logging.getLogger("securebase.x").info("made %s", "E1", extra={"kind": "CdnDistribution", "count": 2, "of": ["a", 1]})
    record = last(stream)
    assert record.pop("time").endswith("Z")
    assert record == {
        "level": "INFO",
        "logger": "securebase.x",
        "message": "made E1",
        "kind": "CdnDistribution",
        "count": 2,
        "of": ["a", 1],
    }


@pytest.mark.parametrize("style", list(Style))
def test_secrets_are_hidden_wherever_they_stand(configured: Configure, style: Style) -> None:
    stream = configured(style=style)
    log = logging.getLogger("securebase.x")
    log.info("as argument %s and %r", SECRET, {"password": SECRET})
    log.info("in the message " + SECRET, extra={"detail": {"deep": [SECRET]}, SECRET: 1})
    try:
        raise RuntimeError(f"in an exception {SECRET}") from ValueError(SECRET)
    except RuntimeError:
        log.exception("failed", stack_info=True)
    printed = stream.getvalue()
    assert "RuntimeError" in printed
    assert "battery" not in printed
    assert printed.count(HIDDEN) >= 6


def test_a_badly_formatted_record_is_kept_and_still_redacted(configured: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    stream = configured()
    logging.getLogger("securebase.x").info("%d pieces", SECRET)
    assert "badly formatted" in last(stream)["message"]
    assert "battery" not in stream.getvalue() + capsys.readouterr().err


def test_a_stream_that_fails_prints_nothing_elsewhere(configured: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    configured().close()
    logging.getLogger("securebase.x").info("lost %s", SECRET)
    assert capsys.readouterr().err == ""


def test_uncaught_exceptions_go_through_the_log(configured: Configure) -> None:
    stream = configured()
    thread = threading.Thread(target=lambda: 1 / int(f"0{SECRET[99:]}"), name="worker-1")
    thread.start()
    thread.join()
    assert "ZeroDivisionError" in last(stream)["exception"]
    assert "worker-1" in last(stream)["message"]
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    assert last(stream)["exception"].endswith(f"ValueError: {HIDDEN}")


def test_warnings_go_through_the_log(configured: Configure) -> None:
    stream = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old thing", UserWarning, stacklevel=1)
    assert "old thing" in last(stream)["message"]


def test_libraries_that_print_whole_requests_stay_quiet_at_any_level(configured: Configure) -> None:
    stream = configured(level="DEBUG")
    for name in ("botocore.endpoint", "urllib3.connectionpool", "kubernetes.client.rest", "kopf.objects", "botocore.auth"):
        logging.getLogger(name).debug("body: everything")
        logging.getLogger(name).info("body: everything")
    assert stream.getvalue() == ""
    logging.getLogger("botocore.credentials").warning("refresh failed")
    assert "refresh failed" in stream.getvalue()


def test_lines_for_a_terminal(configured: Configure) -> None:
    stream = configured(style=Style.TEXT)
    logging.getLogger("securebase.x").warning("look", extra={"name_": "shop"})
    assert stream.getvalue()[9:] == "WARNING securebase.x: look (name_=shop)\n"


@pytest.mark.parametrize(
    ("text", "kept", "gone"),
    [
        ("key AKIAIOSFODNN7EXAMPLE used", "used", "IOSFODNN7EXAMPLE"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\nregion = x", "region = x", "wJalr"),
        ("{'SecretAccessKey': 'wJalrXUtnFEMI', 'Expiration': 1}", "Expiration", "wJalr"),
        ('"SessionToken":"IQoJb3JpZ2luX2VjE","x":1', '"x":1', "IQoJ"),
        ("<SessionToken>IQoJb3Jp</SessionToken><b>", "<b>", "IQoJ"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=AKIAX/2026, Signature=abcdef", "Authorization", "abcdef"),
        ("{'Authorization': 'Bearer abc.def'}", "Authorization", "abc.def"),
        ("headers Authorization: Basic dXNlcjpwYXNz\nnext", "next", "dXNlcjpwYXNz"),
        ("X-Amz-Security-Token: FwoGZXIvYXdzE other", "other", "FwoG"),
        ("https://h/?X-Amz-Signature=deadbeef&x=1", "x=1", "deadbeef"),
        ("postgresql://app:p%40ss@db.internal:5432/shop", "db.internal:5432/shop", "p%40ss"),
        ("rediss://:hunter2@cache:6379/0", "cache:6379/0", "hunter2"),
        ("http://user:pa/ss@127.0.0.1:4566", "127.0.0.1:4566", "pa/ss"),
        ("host=db password=hunter2 user=app", "user=app", "hunter2"),
        ("token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln end", "end", "eyJ"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----\nafter", "after", "MIIEow"),
    ],
)
def test_what_looks_like_a_credential_is_hidden(text: str, kept: str, gone: str) -> None:
    shown = hide_patterns(text)
    assert kept in shown
    assert gone not in shown
    assert HIDDEN in shown


@pytest.mark.parametrize(
    "text",
    [
        "headers: Authorization, x-api-key",
        "Authorization is not allowed in an origin request policy",
        "https://docs.aws.amazon.com/a:b@c",
        "arn:aws:iam::111122223333:role/securebase",
        "Secret web/origin-key version 7 was read",
        "refresh token abc acknowledged",
        "the bearer of this message",
    ],
)
def test_plain_words_stay(text: str) -> None:
    assert hide_patterns(text) == text


def test_every_spelling_of_a_secret_is_hidden(redactor: Redactor) -> None:
    spellings = [
        SECRET,
        base64.b64encode(SECRET.encode()).decode(),
        json.dumps({"a": SECRET}),
        repr(SECRET),
        urllib.parse.quote(SECRET, safe=""),
        urllib.parse.quote_plus(SECRET),
        "only its line battery/staple+42 here",
    ]
    assert not [text for text in spellings if "battery" in redactor(text) or "correct" in redactor(text) or "YmF0" in redactor(text)]


def test_a_short_secret_is_hidden_as_a_word_only() -> None:
    redactor = Redactor()
    redactor.register("dev")
    assert redactor("dev developer x=dev") == f"{HIDDEN} developer x={HIDDEN}"


def test_an_empty_secret_hides_nothing() -> None:
    redactor = Redactor()
    redactor.register("")
    redactor.register("  ")
    assert redactor("a b  c") == "a b  c"


def test_memory_is_bounded_and_the_newest_stay_hidden() -> None:
    redactor = Redactor()
    for number in range(MOST_VALUES):
        redactor.register(f"secret-number-{number:06}")
    assert repr(redactor) == f"Redactor({MOST_VALUES} values)"
    assert redactor(f"secret-number-{MOST_VALUES - 1:06}") == HIDDEN


@given(secret=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn")), min_size=6, max_size=40), around=st.text(max_size=20))
def test_no_registered_value_survives(secret: str, around: str) -> None:
    redactor = Redactor()
    redactor.register(secret)
    if secret.strip() and secret not in HIDDEN and secret not in around:
        shown = redactor(f"{around} {secret} {json.dumps(secret)} {urllib.parse.quote(secret, safe='')}")
        assert secret not in shown.replace(HIDDEN, "")
