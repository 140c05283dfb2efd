"""The scenario file: a site, its buses and its meters, and what lies behind each meter."""

import dataclasses
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from firmware_sim import profile as profiles
from firmware_sim.errors import SimError
from firmware_sim.faults import KINDS as FAULTS
from firmware_sim.faults.base import Fault
from firmware_sim.fields import (
    Context,
    choice,
    did_you_mean,
    flag,
    integer,
    names,
    number,
    one_of,
    read_kinds,
    read_table,
    text,
)
from firmware_sim.loads import KINDS as LOADS
from firmware_sim.loads import Load
from firmware_sim.profile import Profile
from firmware_sim.sunspec import BASES

SCENARIOS = Path(__file__).resolve().parents[1] / "configs" / "scenarios"

_ID = "[a-z0-9-]{1,24}"
_URL = r"(tcp|rtu\+tcp)://[^/:?]+(:\d+)?|rtu://[^?]+(\?.*)?"
_KINDS_OF_SITE = ("office", "campus", "industry", "data_centre", "telecom", "public", "mining", "other")


@dataclass(frozen=True, kw_only=True)
class BusSpec:
    """``[[bus]]``: a socket or a serial line that meters are reached by."""

    name: str = text(pattern=_ID, expected="a name of a-z, 0-9 and -")
    url: str = text(
        pattern=_URL, expected="tcp://HOST:PORT, rtu+tcp://HOST:PORT (port 0: any) or rtu://PATH?baud=19200"
    )
    paced: bool | None = flag(None)
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, kw_only=True)
class MeterSpec:
    """``[[meter]]``: a meter of some model, and its loads.

    ``sum_of`` names meters whose loads flow through this one as well.
    """

    id: str = text(pattern=_ID, expected="an id of a-z, 0-9 and -, at most 24 long")
    name: str = text("")
    bus: str = text()
    unit: int = integer(low=1, high=247)
    profile: str = text()
    sum_of: tuple[str, ...] = names((), 'meter ids such as ["a", "b"]')
    ct_ratio: float = number(1.0, low=1.0, high=10_000.0)
    vt_ratio: float = number(1.0, low=1.0, high=10_000.0)
    sunspec_base: int = one_of(40000, *BASES)
    refuses_gaps: bool = flag(False)
    role: str = choice("load", "load", "generation")
    parent: str | None = text(None)
    declared: str | None = choice(None, "data_hall", "telecom", "mining", "lighting", "process")
    declared_w: float | None = number(None)
    turnaround_ms: float | None = number(None, high=60_000.0)
    loads: tuple[Load, ...] = ()
    faults: tuple[Fault, ...] = ()
    registers: Profile


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The whole file. Every load and every register is a function of this and the time."""

    name: str = text()
    site: str = text("")
    site_kind: str = choice("other", *_KINDS_OF_SITE)
    seed: int = integer(1)
    step_s: float = number(1.0, low=1.0, high=3600.0)
    start_s: float
    buses: tuple[BusSpec, ...]
    meters: tuple[MeterSpec, ...]


def find(name: str) -> Path:
    """Give the file of a scenario: a path, or the name of one that ships with the program."""
    shipped = SCENARIOS / f"{name}.toml"
    if not Path(name).is_file() and shipped.is_file():
        return shipped
    return Path(name)


def read_scenario(file: Path, now_s: float, begins_s: float | None = None) -> Scenario:
    """Read a scenario; raise SimError with every mistake.

    Without ``start`` the scenario begins on the Monday of the week in which ``now_s`` lies, 00:00 UTC.
    ``begins_s`` is where its time begins to run, if not at its start.
    """
    return scenario_of(_document(file), str(file), file.parent, now_s, begins_s)


def scenario_of(
    document: dict[str, Any], source: str, folder: Path, now_s: float, begins_s: float | None = None
) -> Scenario:
    """Make a scenario of a document that came from ``source``; paths in it are relative to ``folder``."""
    tables = ("scenario", "bus", "meter")
    complaints = [f"{key}: unknown key{did_you_mean(key, tables)}" for key in document if key not in tables]
    head = document.get("scenario", {})
    start_s = _start_s(head, now_s, complaints)
    context = Context(start_s, folder, start_s if begins_s is None else begins_s)
    values = read_table(head, Scenario, "scenario", context, complaints, skip=("start",))
    buses = tuple(_buses(document.get("bus"), context, complaints))
    meters = tuple(_meters(document.get("meter"), values.get("step_s", 1.0), context, complaints))
    complaints += _contradictions(buses, meters, document)
    if complaints:
        raise SimError(f"{source}: {complaint}" for complaint in complaints)
    return Scenario(**values, start_s=context.start_s, buses=buses, meters=meters)


def _document(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        shipped = ", ".join(sorted(path.stem for path in SCENARIOS.glob("*.toml")))
        raise SimError(f"{file}: no such file; the scenarios that ship with flatwatt are: {shipped}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SimError(f"{file}: cannot be read: {error}") from None


def _start_s(head: object, now_s: float, complaints: list[str]) -> float:
    """Give the scenario's start; the Monday of the week of ``now_s`` unless the file says it."""
    raw = head.get("start") if isinstance(head, dict) else None
    if raw is None:
        today = datetime.fromtimestamp(now_s, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return (today - timedelta(days=today.weekday())).timestamp()
    if isinstance(raw, datetime) and raw.tzinfo is not None:
        return raw.timestamp()
    complaints.append(f"scenario.start: {raw!r}: expected a time with its zone such as 2026-01-05T00:00:00Z")
    return 0.0


def _tables(raw: object, key: str, complaints: list[str]) -> list[dict[str, Any]]:
    if isinstance(raw, list) and raw and all(isinstance(table, dict) for table in raw):
        return raw
    complaints.append(f"{key}: expected at least one [[{key}]]")
    return []


def _buses(raw: object, context: Context, complaints: list[str]) -> Iterable[BusSpec]:
    for n, table in enumerate(_tables(raw, "bus", complaints), start=1):
        before, where = len(complaints), f"bus {table.get('name', n)}"
        values = read_table(table, BusSpec, where, context, complaints, skip=("fault",))
        faults = tuple(_faults(table, where, context, complaints))
        if len(complaints) == before:
            yield BusSpec(**values, faults=faults)


def _meters(raw: object, step_s: float, context: Context, complaints: list[str]) -> Iterable[MeterSpec]:
    for n, table in enumerate(_tables(raw, "meter", complaints), start=1):
        before, where = len(complaints), f"meter {table.get('id', n)}"
        values = read_table(table, MeterSpec, where, context, complaints, skip=("load", "fault"))
        loads = tuple(_loads(table.get("load", []), where, step_s, context, complaints))
        faults = tuple(_faults(table, where, context, complaints))
        registers = None
        try:
            registers = profiles.read_profile(profiles.find(str(table.get("profile")), context.folder))
        except SimError as error:
            complaints.append(f"{where}.profile: {error}")
        if len(complaints) == before and registers is not None:
            yield MeterSpec(**values, loads=loads, faults=faults, registers=registers)


def _loads(raw: object, where: str, step_s: float, context: Context, complaints: list[str]) -> Iterable[Load]:
    for place, load in read_kinds(raw, LOADS, "load", where, context, complaints):
        try:
            load.check(step_s, context.begins_s)
            yield load
        except ValueError as error:
            complaints.append(f"{place}.{error}")


def _faults(table: dict[str, Any], where: str, context: Context, complaints: list[str]) -> Iterable[Fault]:
    for place, fault in read_kinds(table.get("fault", []), FAULTS, "fault", where, context, complaints):
        begun = dataclasses.replace(fault, from_s=max(fault.from_s, context.start_s))
        if begun.until_s <= begun.from_s:
            complaints.append(f"{place}.until: is not after from")
        yield begun


def _contradictions(
    buses: tuple[BusSpec, ...], meters: tuple[MeterSpec, ...], document: Mapping[str, Any]
) -> Iterable[str]:
    """Find what is right alone and wrong together."""
    yield from (f"bus {name}: the name is used twice" for name in _twice(bus.name for bus in buses))
    yield from (f"meter {id_}: the id is used twice" for id_ in _twice(meter.id for meter in meters))
    for bus, unit in _twice((meter.bus, meter.unit) for meter in meters):
        yield f"bus {bus}: unit {unit} is used by two meters"
    named_buses = _named(document, "bus", "name")
    named_meters = _named(document, "meter", "id")
    sums = {meter.id: meter.sum_of for meter in meters}
    for meter in meters:
        if meter.bus not in named_buses:
            yield f"meter {meter.id}.bus: there is no bus {meter.bus!r}{did_you_mean(meter.bus, named_buses)}"
        for key, other in [("sum_of", other) for other in meter.sum_of] + [("parent", meter.parent or meter.id)]:
            if other not in named_meters:
                yield f"meter {meter.id}.{key}: there is no meter {other!r}{did_you_mean(other, named_meters)}"
        if not meter.loads and not meter.sum_of:
            yield f"meter {meter.id}: has no [[meter.load]] and no sum_of"
        if _reaches(meter.id, meter.id, sums):
            yield f"meter {meter.id}.sum_of: the meter contains itself"


def _twice(items: Iterable[Any]) -> list[Any]:
    return [item for item, times in Counter(items).items() if times > 1]


def _named(document: Mapping[str, Any], table: str, key: str) -> list[str]:
    rows = document.get(table)
    return [str(row.get(key)) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _reaches(start: str, goal: str, sums: Mapping[str, tuple[str, ...]]) -> bool:
    """Tell whether ``goal`` is among what ``start`` sums, directly or further down."""
    seen: set[str] = set()
    todo = list(sums.get(start, ()))
    while todo:
        meter = todo.pop()
        if meter == goal:
            return True
        if meter not in seen:
            seen.add(meter)
            todo += sums.get(meter, ())
    return False
