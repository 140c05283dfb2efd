"""What the verbs write on the terminal: sentences, JSON, tables.

A table is drawn with rich where that is installed and a person is looking, else as plain columns.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, TypeVar

from agent.errors import InputError

T = TypeVar("T")


def say(line: str = "") -> None:
    """Write one line."""
    sys.stdout.write(f"{line}\n")


def say_json(value: dict[str, Any] | list[Any]) -> None:
    """Write one JSON document."""
    say(json.dumps(value, ensure_ascii=False, indent=2))


def say_compact(value: dict[str, Any]) -> None:
    """Write one JSON object on one line."""
    say(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def progress(items: Iterable[T], total: int | None, what: str) -> Iterator[T]:
    """Give the items on, with a progress bar on the error stream where a person is looking and rich is installed.

    ``total`` None is a number that is not known: the bar shows that work goes on.
    """
    if not (sys.stderr.isatty() and find_spec("rich")):
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(items, what, total, console=Console(stderr=True), transient=True)


def complaints(error: InputError) -> dict[str, Any]:
    """Give what is wrong with an input as a program wants it."""
    located = [{"file": c.file, "line": c.line, "key": c.key, "text": c.text} for c in error.complaints]
    return {"ok": False, "complaints": located or [{"text": str(error)}]}


def counted(count: int, noun: str, plural: str) -> str:
    """Give a number with its noun.

    >>> counted(1, "bus", "buses"), counted(3, "meter", "meters")
    ('1 bus', '3 meters')
    """
    return f"{count} {noun if count == 1 else plural}"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a table; columns of numbers stand on the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
    if sys.stdout.isatty() and find_spec("rich"):
        _draw(columns, cells, right)
    else:
        _columns(columns, cells, right)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _draw(columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, (name, is_number) in enumerate(zip(columns, right, strict=True)):
        drawn.add_column(name, justify="right" if is_number else "left", no_wrap=index == 0)
    for row in cells:
        drawn.add_row(*map(Text, row))
    Console().print(drawn)


def _columns(columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in (columns, *cells):
        aligned = (
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, right, strict=True)
        )
        say("  ".join(aligned).rstrip())
