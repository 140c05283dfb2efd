"""What the verbs write on the terminal: sentences, JSON, tables.

A table is drawn with rich where that is installed, a person is looking and the window is wide enough, else as
plain columns: no name and no number is ever cut.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, TypeVar

from agent.errors import InputError

T = TypeVar("T")

_UNBROKEN = 16  # letters that stay on one line: a date, an address, "2 sources"
_GAP = 2  # between columns
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # made once: a replay has a line a meter and day


def say(line: str = "") -> None:
    """Write one line."""
    sys.stdout.write(f"{line}\n")


def say_json(value: dict[str, Any] | list[Any]) -> None:
    """Write one JSON document."""
    say(json.dumps(value, ensure_ascii=False, indent=2))


def say_compact(value: dict[str, Any]) -> None:
    """Write one JSON object on one line."""
    say(_COMPACT.encode(value))


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

    console = Console()
    widths = _widths(columns, cells, console.width)
    if not widths:
        _columns(columns, cells, right)
        return
    drawn = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, width, is_number in zip(columns, widths, right, strict=True):
        drawn.add_column(name, justify="right" if is_number else "left", width=width, overflow="fold")
    for row in cells:
        drawn.add_row(*map(Text, row))
    console.print(drawn)


def _widths(columns: Sequence[str], cells: Sequence[Sequence[str]], window: int) -> list[int]:
    """Give the widths of columns that fit a window: their own as far as there is room, else that of their words.

    The first column is a name to be copied, and whole. Nothing where even the words need more than the window.
    """
    own = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    parts = [[part for cell in row for part in _unbroken(cell)] for row in zip(*cells, strict=True)]
    words = [max(map(len, [*name.split(), *part])) for name, part in zip(columns, parts, strict=True)]
    widths = own[:1] + words[1:]
    spare = window - sum(widths) - _GAP * (len(columns) - 1)
    if spare < 0:
        return []
    for index, width in enumerate(own):
        more = min(spare, width - widths[index])
        widths[index] += more
        spare -= more
    return widths


def _unbroken(cell: str) -> list[str]:
    """Give the parts of a cell that stay on one line.

    >>> _unbroken("2 sources"), _unbroken("swap the transformers of phases 1 and 2")[:3]
    (['2 sources'], ['swap', 'the', 'transformers'])
    """
    return [cell] if len(cell) <= _UNBROKEN else [word[:_UNBROKEN] for word in cell.split()]


def _columns(columns: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in (columns, *cells):
        aligned = (
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, right, strict=True)
        )
        say((" " * _GAP).join(aligned).rstrip())
