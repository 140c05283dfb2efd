"""A damaged history: put aside, and read as far as that goes."""

import contextlib
import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

KEPT_FILES = 3  # put aside: of more, somebody would have looked long ago

Row = tuple[int | float | str | None, ...]

_ORDERS = (
    "window WHERE meter = ? ORDER BY start_s",
    "window WHERE meter = ? ORDER BY start_s DESC",
    "recent WHERE meter = ? ORDER BY rowid",
)
_AT_ONCE = 1000  # windows between two commits of what is taken over


def put_aside(path: Path) -> Path:
    """Rename the file and its log; give the new name. The oldest beyond three are deleted."""
    aside = _aside(path)
    number = int(aside[-1].name.rpartition("-")[2]) + 1 if aside else 1
    target = path.with_name(f"{path.name}.corrupt-{number}")
    for suffix in ("", "-wal", "-shm"):  # or the new file would take up the old one's log
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(target.with_name(target.name + suffix))
    for old in [*aside, target][:-KEPT_FILES]:
        for suffix in ("-wal", "-shm", ""):
            old.with_name(old.name + suffix).unlink(missing_ok=True)
    return target


def take_over(database: sqlite3.Connection, aside: Path, names: str) -> int:
    """Copy the windows that can be read, from both ends of each meter up to the damage; give how many."""
    insert = f"INSERT OR IGNORE INTO window ({names}) VALUES ({', '.join('?' * len(names.split(',')))})"  # noqa: S608
    count = 0
    with contextlib.closing(sqlite3.connect(f"{aside.absolute().as_uri()}?immutable=1", uri=True)) as old:
        for meter in _meters(old):
            for order in _ORDERS:
                select = f"SELECT {names} FROM {order}"  # noqa: S608 - names of columns
                count += _copy(_readable(old, select, meter), database, insert)
    return count


def _copy(rows: Iterator[Row], new: sqlite3.Connection, insert: str) -> int:
    """Copy until the end, or the damage, or what is there already."""
    count = 0
    while part := list(islice(rows, _AT_ONCE)):
        with new:
            added = new.executemany(insert, part).rowcount
        count += added
        if added < len(part):
            break
    return count


def _readable(old: sqlite3.Connection, select: str, meter: str) -> Iterator[Row]:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(old.execute(select, (meter,))) as rows:
        yield from rows


def _meters(old: sqlite3.Connection) -> list[str]:
    """Name the meters, one after the other: their windows lie together, so one bad block hides few."""
    found: list[str] = []
    with contextlib.suppress(sqlite3.Error):
        while row := old.execute(
            "SELECT min(meter) FROM window WHERE meter > ?", (found[-1] if found else "",)
        ).fetchone():
            if row[0] is None:
                break
            found.append(str(row[0]))
    return found


def _aside(path: Path) -> list[Path]:
    numbered = {file: file.name.removeprefix(f"{path.name}.corrupt-") for file in path.parent.glob(f"{path.name}.*")}
    ours = [file for file, number in numbered.items() if number.isascii() and number.isdecimal()]
    return sorted(ours, key=lambda file: int(numbered[file]))
