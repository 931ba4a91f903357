"""The lab's cache: an entry is complete or not there, and is made once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lab.cache import Unavailable, kept


def complete(directory: Path) -> bool:
    return (directory / "a").exists() and (directory / "b").exists()


def fill(directory: Path) -> None:
    (directory / "a").touch()
    (directory / "b").touch()


def silent(_line: str) -> None:
    """Progress nobody reads."""


def test_an_interrupted_build_leaves_nothing_usable(tmp_path: Path) -> None:
    def interrupted(directory: Path) -> None:
        (directory / "a").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path / "entry", complete=complete, fill=interrupted, say=silent)
    assert not (tmp_path / "entry").exists()
    assert complete(kept(tmp_path / "entry", complete=complete, fill=fill, say=silent))


def test_remains_of_a_killed_build_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".entry-killed").mkdir()
    kept(tmp_path / "entry", complete=complete, fill=fill, say=silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["entry", "entry.lock"]


def test_a_fill_that_makes_too_little_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not complete"):
        kept(tmp_path / "entry", complete=complete, fill=lambda directory: (directory / "a").touch(), say=silent)
    assert not (tmp_path / "entry").exists()


def test_an_entry_that_lost_a_file_is_made_again(tmp_path: Path) -> None:
    entry = kept(tmp_path / "entry", complete=complete, fill=fill, say=silent)
    (entry / "b").unlink()
    assert complete(kept(entry, complete=complete, fill=fill, say=silent))


def test_two_at_a_time_build_once(tmp_path: Path) -> None:
    fills: list[Path] = []
    waiting = threading.Event()
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        waiting.set()

    def slow(directory: Path) -> None:
        fills.append(directory)
        second.start()
        assert waiting.wait(10)
        fill(directory)

    second = threading.Thread(target=lambda: kept(tmp_path / "entry", complete=complete, fill=slow, say=tell))
    kept(tmp_path / "entry", complete=complete, fill=slow, say=silent)
    second.join(10)
    assert len(fills) == 1
    assert "another process" in told[0]
