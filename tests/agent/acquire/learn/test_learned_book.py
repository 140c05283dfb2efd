"""What was learned survives a restart, and a damaged file costs nothing but the memory."""

from pathlib import Path

import pytest

from agent.acquire.learn.book import LearnedBook
from agent.acquire.learn.learned import NOTHING, Learned

LESSON = Learned(
    since_s=6e6, forbidden=((0x14, 0x17),), refused=("frequency_hz",), max_registers=40, identity={"serial_number": 7.0}
)
METER = ("rtu:///dev/ttyUSB0?baud=9600", 7, "0123456789abcdef")


def test_lesson_is_there_after_a_restart(tmp_path: Path) -> None:
    """Under the same bus, unit and profile, and no other."""
    LearnedBook(tmp_path / "learned.json").put(*METER, LESSON)

    book = LearnedBook(tmp_path / "learned.json")

    assert book.get(*METER) == LESSON
    assert book.get(METER[0], 8, METER[2]) == NOTHING
    assert book.get(*METER[:2], "another profile") == NOTHING


def test_lesson_that_is_forgotten_leaves_the_file(tmp_path: Path) -> None:
    """The book holds what is believed now."""
    book = LearnedBook(tmp_path / "learned.json")
    book.put(*METER, LESSON)
    book.put(*METER, NOTHING)

    assert LearnedBook(tmp_path / "learned.json").get(*METER) == NOTHING


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"version": 1, "meters": 3}',
        b'{"version": 2, "meters": {}}',
        b'{"version": 1, "meters": {"a": {"since_s": 0, "forbidden": [], "refused": [], "max_registers": Infinity}}}',
        b'{"version": 1, "meters": {"a": {"since_s":0, "forbidden": [[1, 70000]], "refused": [], "max_registers": 1}}}',
        b'{"version": 1, "meters": {"a": {"since_s": 0, "forbidden": [[1, 2]], "refused": [], "max_registers": "x"}}}',
    ],
)
def test_damaged_file_is_set_aside_and_said(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be understood is kept for who wants to look, and learned again."""
    (tmp_path / "learned.json").write_bytes(content)

    book = LearnedBook(tmp_path / "learned.json")
    book.put(*METER, LESSON)

    assert (tmp_path / "learned.damaged").read_bytes() == content
    assert "plans learn anew" in caplog.text
    assert LearnedBook(tmp_path / "learned.json").get(*METER) == LESSON


def test_full_disk_costs_the_memory_and_not_the_measuring(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said, and what was learned stands until the end of the process."""
    book = LearnedBook(tmp_path / "gone" / "learned.json")

    book.put(*METER, LESSON)

    assert book.get(*METER) == LESSON
    assert "cannot be written" in caplog.text
