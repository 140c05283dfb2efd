"""A TOML file as data, and the line on which each of its keys stands.

The standard library reads TOML but keeps no lines, so a light scanner walks the same text after
it. It only ever sees valid TOML; where it is not sure, a key has the line of its table.

A path is the way to a value: ``("meter", 1, "unit")`` is the key ``unit`` in the second ``[[meter]]``.
"""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import Complaint, InputError

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_STRING = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'{3}.*?\'{3,5}|"(?:\\.|[^"\\])*"|'[^']*\'''',
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)| \(at end of document\)")
_LARGEST_BYTES = 1_000_000  # a hundred times what people write; more is a log or a device
_MEANINGS = {  # of what the standard library says of the usual slips
    "Cannot overwrite a value": "this key is there already, further up in its table; keep one of them",
    "Invalid initial character for a key part": "expected a key; a table in { } is one line, with no comma at its end",
    "Invalid value": 'expected a value: 0x0012, 0.1, true, "text", ["list"], { key = 1 }',
}


@dataclass(frozen=True, slots=True)
class TomlSource:
    """``data`` as the standard library gives it; ``lines`` maps each path to its line, counted from 1."""

    file: str
    data: Mapping[str, Any]
    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """Give the line of a path, or of the nearest table around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_toml(path: Path) -> TomlSource:
    """Read a file. Raises InputError with one located complaint when it cannot be read or is no TOML."""
    text = _text(path)
    try:
        data = tomllib.loads(text)
        lines = _Scanner(text.replace("\r\n", "\n")).lines
    except tomllib.TOMLDecodeError as error:
        raise _syntax(path, text, str(error)) from None
    except RecursionError:
        raise _refused(path, 1, "syntax", "arrays or tables are nested too deeply to be meant") from None
    except ValueError:  # what int() says of more than 4300 digits
        raise _refused(path, 1, "syntax", "a number has thousands of digits, too many to be meant") from None
    return TomlSource(str(path), data, lines)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise _refused(path, 1, "file", "longer than 1 MB; is it the file that you mean?")
        return content.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise _refused(path, line, "encoding", "not UTF-8; save the file as UTF-8 text") from None
    except OSError as error:
        raise _refused(path, 1, "file", f"cannot be read: {error.strerror}; check its name and permissions") from None


def _syntax(path: Path, text: str, message: str) -> InputError:
    place = _AT_LINE.search(message)
    line = int(place[1]) if place and place[1] else max(1, len(text.splitlines()))
    said = _AT_LINE.sub("", message)
    return _refused(path, line, "syntax", _MEANINGS.get(said, said))


def _refused(path: Path, line: int, key: str, text: str) -> InputError:
    return InputError([Complaint(str(path), line, key, text)])


class _Scanner:
    """Walk valid TOML and note the line of each path."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line_ends = [found.start() for found in re.finditer("\n", text)]
        self._at = 0
        self._last_index: dict[KeyPath, int] = {}  # of each array of tables
        self.lines: dict[KeyPath, int] = {}
        table: KeyPath = ()
        while self._peek():
            table = self._statement(table)

    def _statement(self, table: KeyPath) -> KeyPath:
        """Read a header or one ``key = value``; give the table that the next statement stands in."""
        if self._peek() == "[":
            return self._header()
        self._pair(table)
        return table

    def _header(self) -> KeyPath:
        line = self._line()
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        self._peek()
        *outer, name = self._key()
        path: KeyPath = ()
        for part in outer:
            path = self._into(*path, part)
            self._note(path, line)
        path = (*path, name)
        if array:
            self._note(path, line)
            self._last_index[path] = self._last_index.get(path, -1) + 1
            path = self._into(*path)
        self._note(path, line)
        self._peek()
        self._at += 2 if array else 1
        return path

    def _into(self, *path: str | int) -> KeyPath:
        """Go to the latest table where a path is an array of tables."""
        return (*path, self._last_index[path]) if path in self._last_index else path

    def _pair(self, table: KeyPath) -> None:
        line, path = self._line(), table
        for part in self._key():
            path = (*path, part)
            self._note(path, line)
        self._peek()
        self._at += 1  # the "="
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        match self._peek():
            case "[":
                self._sequence(path, "]")
            case "{":
                self._sequence(path, "}")
            case _:
                found = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
                self._at = found.end() if found else self._at + 1

    def _sequence(self, path: KeyPath, end: str) -> None:
        """Read an array (its elements) or an inline table (its pairs) up to ``end``."""
        self._at += 1
        index = 0
        while self._peek() not in (end, ""):
            if end == "}":
                self._pair(path)
            else:
                self._note((*path, index), self._line())
                self._value((*path, index))
            index += 1
            if self._peek() == ",":
                self._at += 1
        self._at += 1

    def _key(self) -> list[str]:
        parts = []
        while found := _KEY.match(self._text, self._at):
            parts.append(_unquoted(found[0]))
            self._at = found.end()
            dot = _DOT.match(self._text, self._at)
            if not dot:
                break
            self._at = dot.end()
        return parts

    def _peek(self) -> str:
        """Skip blanks and comments; give the next character, or nothing at the end."""
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank else self._at
        return self._text[self._at : self._at + 1]

    def _line(self) -> int:
        return bisect_left(self._line_ends, self._at) + 1

    def _note(self, path: KeyPath, line: int) -> None:
        self.lines.setdefault(path, line)


def _unquoted(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 0")))
