"""Phrases of CEL for optional fields.

`orValue([])` would be shorter, but the API server's cost estimate forgets a list's bounds behind an optional and refuses the rule.
"""

from __future__ import annotations


def given(path: str) -> str:
    """That every optional step of `self.a.b` is there."""
    steps = path.split(".")
    return " && ".join(f"has({'.'.join(steps[: end + 1])})" for end in range(1, len(steps)))


def some(path: str, name: str, condition: str) -> str:
    """That the list at `path` is there and one of its items fulfils the condition."""
    return f"({given(path)} && {path}.exists({name}, {condition}))"


def none(path: str, name: str, condition: str) -> str:
    """That no item of the list at `path` fulfils the condition."""
    return f"!{some(path, name, condition)}"


def every(path: str, name: str, condition: str) -> str:
    """That no item of the list at `path` breaks the condition; none is there without the list."""
    return f"(!({given(path)}) || {path}.all({name}, {condition}))"


def count(path: str, otherwise: int = 0) -> str:
    """How many items the list at `path` has."""
    return f"({given(path)} ? size({path}) : {otherwise})"


def one_of(names: tuple[str, ...]) -> str:
    """A list literal."""
    return "[" + ", ".join(f"'{name}'" for name in names) + "]"
