"""``python -m bench.evaluate`` as it is typed."""

import sys
from pathlib import Path

import pytest

from bench.evaluate import __main__ as command
from bench.evaluate.data import FILES


@pytest.mark.parametrize("words", [["--half", "train"], ["--rounds", "1"]])
def test_a_part_of_the_evaluation_writes_no_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """The page promises the whole half that no fit has seen."""
    for name in FILES:
        (tmp_path / name).touch()
    monkeypatch.setattr(sys, "argv", ["evaluate", str(tmp_path), *words])

    with pytest.raises(SystemExit, match="2"):
        command.main()

    assert "go with --hidden-only" in capsys.readouterr().err


def test_a_folder_that_lacks_recordings_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name, before anything is computed."""
    monkeypatch.setattr(sys, "argv", ["evaluate", str(tmp_path)])

    with pytest.raises(SystemExit, match="2"):
        command.main()

    assert f"lacks {FILES[0]}" in capsys.readouterr().err
