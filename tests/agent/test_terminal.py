"""Tables as a person sees them, in windows of every width."""

import sys

import pytest

from agent.terminal import table

COLUMNS = ("profile", "meter", "registers wasted")
ROWS = [
    ("continental_control_systems_wattnode", "Continental Control Systems WattNode WNC-3Y-400-MB/WND-WR-MB", 3),
    ("abb_b21", "ABB B21", 1),
]


def drawn(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, window: int) -> list[str]:
    """Give the lines of the table in a window of so many letters."""
    for name, value in {"COLUMNS": str(window), "LINES": "25", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    table(COLUMNS, ROWS)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("window", [66, 80, 100, 200])
def test_a_table_fits_its_window_and_breaks_between_words_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    """A name that is cut cannot be copied, and an address that is cut is another address."""
    lines = drawn(capsys, monkeypatch, window)

    assert max(map(len, lines)) <= window
    assert any("─" in line for line in lines)
    assert any(line.startswith("continental_control_systems_wattnode ") for line in lines)
    assert not any("…" in line for line in lines)
    assert {"Continental", "Control", "Systems", "WattNode"} <= set(" ".join(lines).split())


def test_a_window_that_is_too_narrow_has_plain_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The terminal breaks their lines, and nothing is lost."""
    header, *lines = drawn(capsys, monkeypatch, 40)

    assert header.split() == ["profile", "meter", "registers", "wasted"]
    assert [line.split()[0] for line in lines] == [name for name, _, _ in ROWS]
