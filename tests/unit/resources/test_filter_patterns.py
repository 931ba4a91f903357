"""Filter patterns of CloudWatch Logs: those of its guide are taken, wrong ones are told with the character."""

from __future__ import annotations

import pytest

from securebase.resources.logs.patterns import LONGEST, field_names, has_regex, pattern_problem

GOOD = [
    "",
    "   ",
    "ERROR",
    "ERROR ARGUMENTS",
    "?ERROR ?ARGUMENTS",
    "ERROR -ARGUMENTS",
    'ERROR -"with exit code"',
    '"INTERNAL SERVER ERROR"',
    '?"a b" -c %d+%',
    "%AUTHORIZED%",
    r"%a\x28b\x29%",
    r"%10\.10\.0\.1%",
    "Task timed out after",
    '{ $.eventType = "UpdateTrail" }',
    "{ $.eventType = UpdateTrail }",
    "{$.eventType=UpdateTrail}",
    "{ $.sourceIPAddress != 123.123.* }",
    '{ $.arrayKey[0] = "value" }',
    "{ $.objectList[1].id = 2 }",
    "{ $.SomeObject IS NULL }",
    "{ $.SomeOtherObject NOT EXISTS }",
    "{ $.ThisFlag IS TRUE }",
    '{ ($.user.id = 1) && ($.users[0].email = "John.Doe@example.com") }',
    '{ ($.user.id = 2 && $.users[0].email = "nonmatch") || $.actions[2] = "GET" }',
    "{ $.bandwidth > 75 }",
    "{ $.latency >= 1e3 }",
    "{ $.latency <= -0.5 }",
    "{ $.eventType = %Trail% }",
    r"{ $.userAgent = %.*[0-9]{1,3}\.[0-9]{1,3}% && $.eventType = %^Update% }",
    '{ $.message = "say \\"no\\"" }',
    "{ $.['field name'] = 1 }",
    '{ $.errorCode = "*UnauthorizedOperation" || $.errorCode = "AccessDenied*" }',
    "[w1, w2]",
    "[w1=ERROR, w2]",
    "[..., size, status_code=4*]",
    "[ip, user, username, timestamp, request =*.html*, status_code = 4*, bytes]",
    "[ip, user, username, timestamp, request, status_code = 404 || status_code = 410, bytes > 1000]",
    '[..., request !="*.html*" && request != "*.js", ...]',
    r"[ip=%127\.0\.0\.[1-9]%, user, ...]",
    "[w1!=ERROR&&w1!=%WARN%, w2]",
    "[report_name=REPORT, request_id_name, ...]",
]

BAD = [
    ("ERROR:", 6, "double quotes"),
    ("a foo@bar", 6, "double quotes"),
    ("user-agent", 5, "double quotes"),
    ('ERROR "never closed', 7, "never closed"),
    ("ERROR - x", 7, "at once"),
    ("ERROR ?", 7, "at once"),
    ("%a(b)c%", 3, "no '('"),
    (r"%a\(b%", 3, "no"),
    ("%héllo%", 3, "no 'é'"),
    ("%something!%", 11, "no '!'"),
    ("%%", 1, "empty"),
    ("%open", 1, "never closed"),
    ("{ $.a = 1", 10, "ends with }"),
    ("{ $.a = 1 ]", 12, "ends with }"),
    ("[w1, w2", 8, "ends with ]"),
    ("{ }", 3, "$.name"),
    ("{ a = 1 }", 3, "$.name"),
    ("{ $.a 1 }", 7, "must be followed"),
    ("{ $.a == 1 }", 8, "a value must follow ="),
    ("{ $.a = }", 9, "a value must follow ="),
    ("{ $.a = 1 & $.b = 2 }", 11, "must follow"),
    ("{ $.a = 1 && }", 14, "$.name"),
    ("{ ($.a = 1 }", 12, "parenthesis of character 3"),
    ("{ $.a = 1) }", 10, "must follow"),
    ("{ $.a IS NIL }", 7, "must be followed"),
    ("{ $.a EXIST }", 7, "must be followed"),
    ("{ $.a = b c }", 11, "must follow"),
    ("{ $.a = 'b' }", 9, "double quotes"),
    ("{ $.a = b@c }", 10, "must follow"),
    ("{ $.a > high }", 9, "compares numbers"),
    ("{ $.a > %1% }", 9, "compares numbers"),
    ('{ $.a = "b }', 9, "never closed"),
    ("{ $.a = %x% || $.a = %y% || $.a = %z% }", 35, "2 regular expressions"),
    ("{ $.a = 1 } }", 13, "nothing may follow"),
    ("[w1,, w2]", 5, "a name"),
    ("[]", 2, "a name"),
    ("[w1 w2]", 5, "must follow"),
    ("[w1=, w2]", 5, "a value must follow ="),
    ("[$.a = 1]", 2, "a name"),
    ("x" * (LONGEST + 1), LONGEST + 1, "1024 characters at most"),
]


@pytest.mark.parametrize("pattern", GOOD)
def test_patterns_of_the_guide_are_taken(pattern: str) -> None:
    assert pattern_problem(pattern) is None


@pytest.mark.parametrize(("pattern", "position", "words"), BAD)
def test_a_wrong_one_is_told_with_its_position(pattern: str, position: int, words: str) -> None:
    problem = pattern_problem(pattern)
    assert problem is not None
    assert (problem.position, words in problem.message) == (position, True), str(problem)
    assert f"character {position}" in str(problem)


def test_fields_are_named() -> None:
    assert field_names("[ip, ..., status = 4* || status = 5*, bytes > 10]") == ("ip", "status", "bytes")
    assert field_names("{ $.a = 1 }") == field_names("ERROR") == field_names("[a, ") == ()


def test_patterns_with_regular_expressions_count() -> None:
    assert has_regex("%a%")
    assert has_regex("{ $.a = %b% }")
    assert not has_regex('{ $.a = "50% of 100%" }')
