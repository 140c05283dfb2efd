"""Recordings as people have them: time zones, gaps, steps, and every mistake with its line."""

import errno
import gzip
import io
import os
import tracemalloc
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from agent.analyse import recording, recording_file, recording_rows, spill
from agent.analyse.recording import Recording
from agent.analyse.recording_file import read_recording
from agent.errors import FlatwattError, InputError

START_S = 1_767_225_600  # 2026-01-01
HEAD = "time,meter,active_power_w\n"


def written(tmp_path: Path, text: str | bytes) -> Path:
    """Write a file named load.csv."""
    path = tmp_path / "load.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def complaints(path: Path) -> list[str]:
    """Give what is wrong with a file, without the folder's name."""
    with pytest.raises(InputError) as caught:
        read_recording(path)
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def steps(step_s: int, count: int, start_s: int = 1_767_225_600) -> str:
    """Give rows of one meter whose power counts up."""
    moments = np.datetime64(start_s, "s") + np.arange(count) * np.timedelta64(step_s, "s")
    return HEAD + "".join(f"{moment},m,{n}\n" for n, moment in enumerate(moments))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "",
            [
                "load.csv:1: time: this column is missing; the header has nothing",
                "load.csv:1: meter: this column is missing; the header has nothing",
                "load.csv:1: active_power_w: this column is missing; the header has nothing",
            ],
        ),
        ("time,meter\n", ["load.csv:1: active_power_w: this column is missing; the header has time, meter"]),
        (
            "time,meter,active_power_w,activ_power_l1_w,colour\n",
            [
                'load.csv:1: activ_power_l1_w: not a quantity of the vocabulary; did you mean "active_power_l1_w"?',
                "load.csv:1: colour: not a quantity of the vocabulary; docs/data-dictionary.md lists the names",
            ],
        ),
        ("time,meter,meter,active_power_w\n", ["load.csv:1: meter: this column stands twice"]),
        (
            HEAD + "yesterday,m,1\n2026-01-01T00:00:00.5Z,m,1\n",
            [
                'load.csv:2: time: "yesterday" is not a time in ISO 8601, as 2026-01-05T00:15:00Z',
                'load.csv:3: time: "2026-01-01T00:00:00.5Z" is not a whole second',
            ],
        ),
        (
            HEAD + "2026-01-01T00:00Z,m,one\n2026-01-01T01:00Z,,2\n2026-01-01T02:00Z,m\n",
            [
                'load.csv:2: active_power_w: "one" is not a number; leave the cell empty where nothing was measured',
                "load.csv:3: meter: is empty; a name is needed",
                "load.csv:4: row: has 2 cells, the header has 3",
            ],
        ),
        (
            HEAD + "2026-01-01T00:00Z,m,1\n2026-01-01T00:00Z,n,1\n2026-01-01T01:00Z,m,2\n2026-01-01T00:00Z,m,3\n",
            ["load.csv:5: time: m has a row for 2026-01-01T00:00:00Z already; keep one"],
        ),
        (
            steps(3600, 5) + "2026-01-01T03:00:01Z,m,9\n",
            [
                "load.csv:7: time: 2026-01-01T03:00:01Z is off the grid of the usual step of 3600 s; "
                "resample to one step"
            ],
        ),
        (
            steps(7200, 5),
            [
                "load.csv: the usual step between times is 7200 s, which does not divide an hour; "
                "resample to one step between 1 s and 1 h"
            ],
        ),
        (
            HEAD + "1969-12-31T23:00Z,m,1\n2026-01-01T00:00Z,m,1_000\n",
            [
                'load.csv:2: time: "1969-12-31T23:00Z" is before 1970',
                'load.csv:3: active_power_w: "1_000" is not a number; leave the cell empty where nothing was measured',
            ],
        ),
        (HEAD, ["load.csv: holds no rows; at least one day of data is needed"]),
        (
            steps(3600, 5) + "9999-01-01T00:00:00Z,m,9\n",
            [
                "load.csv: 2026-01-01T00:00:00Z to 9999-01-01T00:00:00Z is 69889873 steps of all meters; "
                "is a time wrong? If not, split it"
            ],
        ),
        (
            HEAD + "2026-01-01T00:00Z,\x1b[31mm,1\n",
            [r'load.csv:2: meter: "\x1b[31mm" holds a control character; is the file text?'],
        ),
        (
            HEAD + "2026-01-01T00:00Z,m," + "x" * 1000 + "\n",
            ['load.csv:2: active_power_w: "' + "x" * 199 + " …"],
        ),
        (
            steps(1, 5) + "2062-01-01T00:00:00Z,m,9\n",
            [
                "load.csv: 2026-01-01T00:00:00Z to 2062-01-01T00:00:00Z is 1136073601 steps of all meters; "
                "is a time wrong? If not, split it"
            ],
        ),
    ],
)
def test_every_mistake_is_located(tmp_path: Path, text: str, expected: list[str]) -> None:
    """File, line, column, what is wrong, what to do."""
    assert complaints(written(tmp_path, text)) == expected


@pytest.mark.parametrize(
    "content",
    [bytes(range(256)) * 40, b"\x1f\x8b" + b"garbage" * 30, gzip.compress(steps(900, 500).encode())[:-40], b"\x1f\x8b"],
    ids=["binary", "bad gzip", "cut gzip", "two bytes"],
)
def test_what_is_no_recording_is_said_in_one_line(tmp_path: Path, content: bytes) -> None:
    """Never a traceback."""
    [line] = complaints(written(tmp_path, content))

    assert line.startswith("load.csv: cannot be read as a recording (")


def test_a_file_without_line_breaks_does_not_fill_the_memory(tmp_path: Path) -> None:
    """Nor does one of a few kilobytes that unpacks to much more."""
    path = written(tmp_path, gzip.compress(bytes(30_000_000)))
    tracemalloc.start()

    [line] = complaints(path)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "field larger than field limit" in line
    assert peak < 15_000_000


def test_a_pipe_is_read_as_a_file_is(tmp_path: Path) -> None:
    """Once, from its first byte on."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_text, args=(steps(900, 2000),))
    writer.start()

    read = read_recording(pipe)

    writer.join()
    assert read.values["active_power_w"].shape == (1, 2000)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """With the system's own reason, and its name once."""
    assert complaints(tmp_path / "missing.csv") == [
        "missing.csv: cannot be read as a recording (No such file or directory); a CSV file in UTF-8 is expected, "
        "gzipped or not"
    ]


def test_a_file_that_is_wrong_throughout_stops_at_twenty(tmp_path: Path) -> None:
    """It is wrong in the same way throughout."""
    assert len(complaints(written(tmp_path, HEAD + "".join(f"in {n} days,m,1\n" for n in range(500))))) == 20


def test_gzip_is_read_whatever_the_name(tmp_path: Path) -> None:
    """By its first bytes."""
    recording = read_recording(written(tmp_path, gzip.compress(steps(900, 4).encode())))

    assert recording.values["active_power_w"].tolist() == [[0, 1, 2, 3]]


def test_times_are_utc_unless_they_say_otherwise(tmp_path: Path) -> None:
    """Midnight in Berlin, written three ways, and a byte order mark as spreadsheets leave it."""
    rows = "2026-01-01T00:00:00+01:00,a,1\n2025-12-31T23:00:00Z,b,2\n2025-12-31 23:00,c,3\n2026-01-01T00:00Z,a,4\n"

    recording = read_recording(written(tmp_path, "\ufeff" + HEAD + rows))

    assert recording.start_s == 1_767_222_000
    assert recording.meters == ("a", "b", "c")
    assert recording.values["active_power_w"][:, 0].tolist() == [1, 2, 3]


def test_gaps_are_unknown_not_zero(tmp_path: Path) -> None:
    """An empty cell, a missing row, nan, and a power that no meter can have."""
    rows = ["00:00Z,m,1", "00:15Z,m,", "00:45Z,m,nan", "01:00Z,m,1e12", "01:15Z,m,-3"]
    recording = read_recording(written(tmp_path, HEAD + "".join(f"2026-01-01T{row}\n" for row in rows)))

    np.testing.assert_array_equal(recording.values["active_power_w"], [[1.0, np.nan, np.nan, np.nan, np.nan, -3.0]])


@pytest.mark.parametrize(
    ("step_s", "window_s"),
    [(1, 900), (8, 1800), (60, 900), (120, 1800), (300, 900), (600, 1800), (900, 900), (1800, 1800), (3600, 3600)],
)
def test_windows_lie_on_the_grid_at_any_step(tmp_path: Path, step_s: int, window_s: int) -> None:
    """A step that does not divide 15 minutes makes longer windows; a start inside a window leaves ticks unknown."""
    start_s = 1_767_225_600 + 7200 + (step_s if step_s < window_s else 0)
    count = 2 * window_s // step_s
    recording = read_recording(written(tmp_path, steps(step_s, count, start_s)))

    windows = list(recording.windows())

    ticks = np.concatenate([window.values["active_power_w"][0] for window in windows])
    assert [window.start_s for window in windows] == [
        1_767_225_600 + 7200 + window_s * n for n in range(recording.window_count)
    ]
    assert {window.window_s for window in windows} == {window_s}
    assert ticks[np.isfinite(ticks)].tolist() == list(range(count))
    assert np.flatnonzero(ticks == 0).item() == (start_s - windows[0].start_s) // step_s
    assert windows[0].coverage[0] == pytest.approx(1 - (start_s - windows[0].start_s) / window_s)


def peak_memory(path: Path) -> int:
    """Give the most bytes that reading a recording and cutting its windows took at once."""
    tracemalloc.start()
    windows = sum(1 for _ in read_recording(path).windows())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert windows >= 500
    return peak


@pytest.mark.parametrize("order", ["by time", "by meter"])
def test_the_memory_does_not_grow_with_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """Eight times the rows need the same: chunks and batches of a size that does not depend on the file."""
    monkeypatch.setattr(recording_file, "_CHUNK", 256)
    monkeypatch.setattr(recording_rows, "_MOST_MOMENTS", 256)
    monkeypatch.setattr(recording, "_BATCH", 256)
    monkeypatch.setattr(spill, "_BLOCK", 256)
    peaks = []
    for ticks in (500, 4000):
        moments = np.datetime_as_string(np.datetime64(START_S, "s") + np.arange(ticks) * np.timedelta64(900, "s"))
        rows = [f"{at},{meter},1.5\n" for at in moments for meter in "abcd"]
        rows.sort(key=(lambda row: row.split(",")[1]) if order == "by meter" else None)
        peaks.append(peak_memory(written(tmp_path, HEAD + "".join(rows))))

    assert peaks[1] < 1.5 * peaks[0], peaks


@pytest.mark.parametrize("order", ["by time", "by meter", "by chance"])
def test_the_order_of_rows_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """Several chunks, sorted by time, by meter or not at all, with a gap, are the same recording."""
    monkeypatch.setattr(recording_file, "_CHUNK", 64)
    moments = np.datetime_as_string(np.datetime64(START_S, "s") + np.arange(100) * np.timedelta64(900, "s"))
    cells = [(at, meter, 100.0 * row + n) for n, at in enumerate(moments) for row, meter in enumerate("ab") if n != 7]
    keys = {"by time": lambda cell: cell[0], "by meter": lambda cell: cell[1], "by chance": lambda cell: cell[2] % 7}
    rest = sorted(cells[2:], key=keys[order])

    read = read_recording(written(tmp_path, HEAD + "".join(f"{at},{m},{w}\n" for at, m, w in [*cells[:2], *rest])))

    expected = np.stack([np.arange(100.0), 100 + np.arange(100.0)])
    expected[:, 7] = np.nan
    assert (read.meters, read.step_s, read.start_s) == (("a", "b"), 900, START_S)
    np.testing.assert_array_equal(read.values["active_power_w"], expected)


def test_a_row_that_comes_twice_is_found_however_far_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one chunk of rows or in two, by its line; a cell with a line break does not spoil the count."""
    monkeypatch.setattr(recording_file, "_CHUNK", 16)
    rows = steps(900, 40).splitlines()
    rows.insert(1, '2026-01-01T00:00,n,"\n"')

    told = complaints(written(tmp_path, "\n".join([*rows, rows[3], rows[40], rows[40]])))

    assert [line.split(": ")[0] for line in told] == ["load.csv:44", "load.csv:45", "load.csv:46"]


def test_blank_lines_and_spaces_are_no_mistake(tmp_path: Path) -> None:
    """As people leave them who edit by hand; the line of what is one is right."""
    text = HEAD + "2026-01-01T00:00Z , m,1\n\n2026-01-01T00:15Z,m ,  \n2026-01-01T00:30Z,m, 3\n"

    read = read_recording(written(tmp_path, text))
    told = complaints(written(tmp_path, text + "now,m,4\n"))

    np.testing.assert_array_equal(read.values["active_power_w"], [[1, np.nan, 3]])
    assert told == ['load.csv:6: time: "now" is not a time in ISO 8601, as 2026-01-05T00:15:00Z']


def test_a_column_of_numbers_is_no_column_of_meters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More names than any site has meters would fill the memory."""
    monkeypatch.setattr(recording_rows, "_MOST_METERS", 3)

    told = complaints(written(tmp_path, HEAD + "".join(f"2026-01-01T00:00Z,{n}.5,1\n" for n in range(4))))

    assert told == ["load.csv:5: meter: more than 3 different names; does another column hold the meters' names?"]


def test_a_full_disk_is_said_with_the_next_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary file is where a long recording waits."""

    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", Full)

    with pytest.raises(FlatwattError, match=r"No space left on device\); set TMPDIR to a folder with more room"):
        read_recording(written(tmp_path, steps(900, 4)))


def test_a_window_knows_what_was_recorded_only() -> None:
    """Quantities without a column are unknown; nothing can be written into a window."""
    recording = Recording(("m",), 0, 900, {"active_power_w": np.array([[1.0, 2.0]])})

    window = next(recording.windows())

    assert np.isnan(window.values["voltage_l1_v"]).all()
    assert not any(array.flags.writeable for array in window.values.values())
