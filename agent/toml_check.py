"""Check a TOML file against tables of fields, and collect every mistake before giving up.

::

    check = Check(read_toml(path))
    poll = check.table("poll", POLL)         # {"period_s": 1.0, ...}: checked, defaults filled in
    meters = check.tables("meter", METER)    # the same for each [[meter]]
    check.finish()                           # raises InputError with all complaints

A value that is missing or wrong has its default, or None where it has none; a cross-check that
meets None leaves it alone, since that mistake is already told.
"""

import difflib
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.errors import Complaint, InputError
from agent.toml_source import KeyPath, TomlSource

Rule = Callable[[object], Any]  # gives the value as the program wants it; raises ValueError saying what was expected
REQUIRED: Final = object()
_FINITE = sys.float_info.max
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed
_SHOWN = 100  # letters of what somebody wrote; the line number says where the rest is


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a table: its name, what its value must be, and its default (without one it is required)."""

    name: str
    rule: Rule
    default: Any = REQUIRED


class Check:
    """The complaints about one file, and the ways to find them."""

    def __init__(self, source: TomlSource) -> None:
        self.source = source
        self._complaints: list[Complaint] = []

    def complain(self, path: KeyPath, text: str) -> None:
        """Note one mistake at a path."""
        self._complaints.append(Complaint(self.source.file, self.source.line(path), _spelt(path), _printable(text)))

    def finish(self) -> None:
        """Raise InputError with every complaint, in the order of the file, if there is any."""
        if self._complaints:
            raise InputError(sorted(self._complaints, key=lambda complaint: complaint.line))

    def top(self, fields: Sequence[Field], tables: Iterable[str]) -> dict[str, Any]:
        """Check the keys before the first header; ``tables`` are read on their own."""
        return self.fields((), self.source.data, fields, also=tables)

    def table(self, name: str, fields: Sequence[Field]) -> dict[str, Any]:
        """Check ``[name]``; a missing table is an empty one."""
        return self.fields((name,), self.source.data.get(name, {}), fields)

    def tables(self, name: str, fields: Sequence[Field]) -> list[dict[str, Any]]:
        """Check every ``[[name]]``."""
        found = self.source.data.get(name, [])
        if not isinstance(found, list):
            self.complain((name,), f"one table, expected a list of them: write [[{name}]] with two brackets")
            return []
        return [self.fields((name, index), values, fields) for index, values in enumerate(found)]

    def fields(
        self, path: KeyPath, values: object, fields: Sequence[Field], also: Iterable[str] = ()
    ) -> dict[str, Any]:
        """Check one table: unknown keys, missing keys, wrong values."""
        if not isinstance(values, Mapping):
            self.complain(path, f"{shown(values)} is wrong, expected a table, such as {{ key = value }}")
            return {field.name: _default(field) for field in fields}
        known = [field.name for field in fields] + list(also)
        for key in values:
            if key not in known:
                self.complain((*path, key), f"unknown key{did_you_mean(key, known)}")
        return {field.name: self._value(path, values, field) for field in fields}

    def _value(self, path: KeyPath, values: Mapping[str, Any], field: Field) -> object:
        if field.name not in values:
            if field.default is REQUIRED:
                self.complain((*path, field.name), f"missing, expected {expectation(field.rule)}")
            return _default(field)
        value = values[field.name]
        try:
            return field.rule(value)
        except ValueError as error:
            self.complain((*path, field.name), f"{shown(value)} is wrong, expected {error}")
            return _default(field)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Give the end of a sentence that names the nearest known word, or nothing where none is near.

    >>> did_you_mean("perod_s", ["period_s", "window_s"])
    ', did you mean "period_s"?'
    """
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f', did you mean "{near[0]}"?' if near else ""


def shown(value: object) -> str:
    """Give a value as TOML spells it, as far as a message needs it.

    >>> shown("five"), shown(True), shown([1, "two"]), shown({"a": 1})
    ('"five"', 'true', '[1, "two"]', '{ a = 1 }')
    """
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{_clipped(value)}"'
        case list():
            return f"[{_clipped(', '.join(map(shown, value)))}]"
        case dict():
            return "{ " + _clipped(", ".join(f"{key} = {shown(item)}" for key, item in value.items())) + " }"
    return _clipped(str(value))


def _clipped(words: str) -> str:
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"


def _printable(words: str) -> str:
    """Give words without what a terminal would obey."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", words)


def number(low: float = -_FINITE, high: float = _FINITE, *, expected: str = "a number") -> Rule:
    """Accept a finite number from ``low`` to ``high``."""

    def rule(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(expected)
        return float(value)

    return rule


def whole(low: int, high: int) -> Rule:
    """Accept a whole number from ``low`` to ``high``."""

    def rule(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return rule


def text(value: object) -> str:
    """Accept a string that is not empty and holds no control characters, which no path and no name has."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text")
    if _CONTROL.search(value):
        raise ValueError("a text without control characters")
    return value


def matching(pattern: str, expected: str) -> Rule:
    """Accept a string that a regular expression matches as a whole."""

    def rule(value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(expected)
        return value

    return rule


def flag(value: object) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def one_of(*choices: str | int) -> Rule:
    """Accept one of a few values."""

    def rule(value: object) -> object:
        if isinstance(value, bool) or value not in choices:
            words = [str(choice) for choice in choices]
            raise ValueError(f"one of {', '.join(words)}{did_you_mean(value, words)}")
        return value

    return rule


def existing_file(folder: Path) -> Rule:
    """Accept the path of a file that exists, relative to ``folder``."""

    def rule(value: object) -> Path:
        path = folder / text(value)
        if not path.is_file():
            raise ValueError("an existing file, relative to the folder of this file")
        return path

    return rule


def list_of(item: Rule) -> Rule:
    """Accept a list whose every item the rule accepts."""

    def rule(value: object) -> tuple[object, ...]:
        if not isinstance(value, list):
            raise ValueError(f"a list, each {expectation(item)}")
        try:
            return tuple(map(item, value))
        except ValueError as error:
            raise ValueError(f"a list, each {error}") from None

    return rule


def _default(field: Field) -> object:
    return None if field.default is REQUIRED else field.default


def expectation(rule: Rule) -> str:
    """Ask a rule what it expects by offering what no rule accepts."""
    try:
        rule(None)
    except ValueError as error:
        return str(error)
    return "a value"


def _spelt(path: KeyPath) -> str:
    """Give a path as an operator counts: ``meter[2].unit`` is in the second table ``[[meter]]``."""
    words = ""
    for part in path:
        words += f"[{part + 1}]" if isinstance(part, int) else f".{_printable(_clipped(part))}"
    return words.removeprefix(".") or "file"
