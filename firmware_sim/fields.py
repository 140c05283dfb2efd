"""The keys of a scenario as dataclass fields: each field knows how to read itself from TOML.

A field made by one of these functions carries a reader ``(raw value, Context) -> value``; a
reader raises ValueError with what it expected.
"""

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_UNITS_S = (86400, 3600, 60, 1)


@dataclass(frozen=True, slots=True)
class Context:
    """What relative values refer to: the scenario's start, the folder of its file, and when its time begins to run."""

    start_s: float
    folder: Path
    begins_s: float


Reader = Callable[[object, Context], Any]


def _field(read: Reader, default: object, **metadata: object) -> Any:  # noqa: ANN401 - like dataclasses.field
    if default is ...:
        return dataclasses.field(metadata={"read": read} | metadata)
    return dataclasses.field(default=default, metadata={"read": read} | metadata)


def number(default: object = ..., low: float = 0.0, high: float = 1e9) -> Any:  # noqa: ANN401
    """Make a field for a number within ``low`` and ``high``."""

    def read(raw: object, _: Context) -> float:
        if isinstance(raw, bool) or not isinstance(raw, int | float) or not low <= raw <= high:
            raise ValueError(f"expected a number from {low:g} to {high:g}")
        return float(raw)

    return _field(read, default)


def integer(default: object = ..., low: int = 0, high: int = 2**31) -> Any:  # noqa: ANN401
    """Make a field for a whole number within ``low`` and ``high``."""

    def read(raw: object, _: Context) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int) or not low <= raw <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return raw

    return _field(read, default)


def text(default: object = ..., pattern: str = ".+", expected: str = "a text") -> Any:  # noqa: ANN401
    """Make a field for a text that matches ``pattern`` in full."""

    def read(raw: object, _: Context) -> str:
        if not isinstance(raw, str) or not re.fullmatch(pattern, raw):
            raise ValueError(f"expected {expected}")
        return raw

    return _field(read, default)


def choice(default: object, *choices: str) -> Any:  # noqa: ANN401
    """Make a field for one of the ``choices``."""

    def read(raw: object, _: Context) -> str:
        if raw not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}{did_you_mean(raw, choices)}")
        return str(raw)

    return _field(read, default)


def one_of(default: int, *choices: int) -> Any:  # noqa: ANN401
    """Make a field for one of some whole numbers."""

    def read(raw: object, _: Context) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int) or raw not in choices:
            raise ValueError(f"expected one of {', '.join(map(str, choices))}")
        return raw

    return _field(read, default)


def flag(default: bool | None) -> Any:  # noqa: ANN401
    """Make a field for true or false."""

    def read(raw: object, _: Context) -> bool:
        if not isinstance(raw, bool):
            raise ValueError("expected true or false")
        return raw

    return _field(read, default)


def names(default: object, expected: str, choices: tuple[str, ...] = (), count: int = 0) -> Any:  # noqa: ANN401
    """Make a field for a list of names: of the ``choices``, and of that ``count``, where these are given."""

    def read(raw: object, _: Context) -> tuple[str, ...]:
        if not isinstance(raw, list) or not raw or not all(isinstance(name, str) for name in raw):
            raise ValueError(f"expected a list of {expected}")
        if (count and len(raw) != count) or (choices and not set(raw) <= set(choices)):
            raise ValueError(f"expected a list of {expected}")
        return tuple(raw)

    return _field(read, default)


def pair(default: tuple[int, int], low: int, high: int, expected: str) -> Any:  # noqa: ANN401
    """Make a field for two whole numbers, the first and the last of a range."""

    def read(raw: object, _: Context) -> tuple[int, int]:
        good = isinstance(raw, list) and len(raw) == 2 and all(type(end) is int for end in raw)
        if not good or not low <= raw[0] <= raw[1] <= high:  # type: ignore[index]
            raise ValueError(f"expected {expected}")
        return raw[0], raw[1]  # type: ignore[index]

    return _field(read, default)


def hours(default: tuple[float, float] | None) -> Any:  # noqa: ANN401
    """Make a field for two hours of the day, from and until."""

    def read(raw: object, _: Context) -> tuple[float, float]:
        good = isinstance(raw, list) and len(raw) == 2 and all(isinstance(hour, int | float) for hour in raw)
        if not good or not 0 <= raw[0] < raw[1] <= 24:  # type: ignore[index]
            raise ValueError("expected two hours of the day such as [16, 20]")
        return float(raw[0]), float(raw[1])  # type: ignore[index]

    return _field(read, default)


def moment(default: float, key: str = "") -> Any:  # noqa: ANN401
    """Make a field for a time: absolute, or a duration after the scenario's start; kept in UTC seconds.

    ``key`` is its name in the file, where that is none for a field.
    """
    return _field(read_moment, default, **({"key": key} if key else {}))


def file_path() -> Any:  # noqa: ANN401
    """Make a field for a file, relative to the scenario's folder."""

    def read(raw: object, context: Context) -> Path:
        if not isinstance(raw, str):
            raise ValueError("expected the path of a file, relative to the scenario")
        return context.folder / raw

    return _field(read, ...)


def read_moment(raw: object, context: Context) -> float:
    """Give UTC seconds of a TOML date-time or of a duration such as ``"19d12h"`` after the start.

    >>> read_moment("1d2h", Context(1000.0, Path(), begins_s=1000.0))
    94600.0
    """
    if isinstance(raw, datetime) and raw.tzinfo is not None:
        return raw.timestamp()
    match = _DURATION.fullmatch(raw) if isinstance(raw, str) and raw else None
    if match is None:
        raise ValueError('expected a time with its zone such as 2026-01-24T09:00:00Z, or a duration such as "19d12h"')
    return context.start_s + sum(int(part or 0) * unit for part, unit in zip(match.groups(), _UNITS_S, strict=True))


def did_you_mean(raw: object, choices: Iterable[str]) -> str:
    """Give ``; did you mean 'x'?`` where a choice is near, else nothing."""
    near = difflib.get_close_matches(str(raw), list(choices), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def keys_of(kind: type[Any]) -> dict[str, dataclasses.Field[Any]]:
    """Give the fields that stand in the file, by their keys there."""
    fields = (field for field in dataclasses.fields(kind) if "read" in field.metadata)
    return {field.metadata.get("key", field.name): field for field in fields}


def read_table(
    table: object, kind: type[Any], where: str, context: Context, complaints: list[str], skip: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Read the keys of a TOML table that are fields of ``kind``; every mistake goes to ``complaints``."""
    if not isinstance(table, dict):
        complaints.append(f"{where}: expected a table")
        return {}
    known = keys_of(kind)
    values: dict[str, Any] = {}
    for key, raw in table.items():
        if key in skip:
            continue
        if key not in known:
            complaints.append(f"{where}.{key}: unknown key{did_you_mean(key, (*known, *skip))}")
            continue
        try:
            values[known[key].name] = known[key].metadata["read"](raw, context)
        except ValueError as error:
            complaints.append(f"{where}.{key}: {raw!r}: {error}")
    for name, field in known.items():
        if name not in table and field.default is dataclasses.MISSING:
            complaints.append(f"{where}.{name}: missing")
    return values


def read_kinds(
    raw: object, kinds: Mapping[str, type[Any]], table: str, where: str, context: Context, complaints: list[str]
) -> Iterable[tuple[str, Any]]:
    """Read tables of which each names its ``kind``; give (place, what it describes) of those that are right."""
    if not isinstance(raw, list):
        complaints.append(f"{where}.{table}: expected [[{where.split()[0]}.{table}]] with two pairs of brackets")
        return
    for n, row in enumerate(raw, start=1):
        before, place = len(complaints), f"{where}, {table} {n}"
        named = row.get("kind") if isinstance(row, dict) else row
        kind = kinds.get(str(named))
        if kind is None:
            complaints.append(
                f"{place}.kind: {named!r}: expected one of {', '.join(kinds)}{did_you_mean(named, kinds)}"
            )
            continue
        values = read_table(row, kind, place, context, complaints, skip=("kind",))
        if len(complaints) == before:
            yield place, kind(**values)


ALWAYS_S = -math.inf
NEVER_S = math.inf
