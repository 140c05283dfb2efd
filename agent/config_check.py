"""What ``gateway.toml`` and ``site.toml`` may say: the fields of each table, and what must fit together."""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.acquire.bus.url import parse_url, wrong_unit
from agent.acquire.profiles.profile import profile_names
from agent.emission_factors import LOCAL, SOURCES, regions
from agent.errors import InputError
from agent.toml_check import Check, Field, Rule, did_you_mean, existing_file, matching, number, one_of, text, whole

SITE_KINDS = ("office", "campus", "industry", "data_centre", "telecom", "public", "mining", "other")
ROLES = ("load", "generation")
DECLARED = ("data_hall", "telecom", "mining", "lighting", "process")
_HOUR_S = 3600


def _identifier(longest: int) -> Rule:
    return matching(f"[a-z0-9-]{{1,{longest}}}", f'1 to {longest} characters of a-z, 0-9 and "-"')


def _state_dir(folder: Path) -> Rule:
    def rule(value: object) -> Path:
        path = folder / text(value)
        if path.exists() and not path.is_dir():
            raise ValueError("a folder, and that is a file")
        return path

    return rule


def _profile(folder: Path) -> Rule:
    """Accept the name of a shipped profile, or the path of one's own, which ends in .toml."""

    def rule(value: object) -> str:
        name = text(value)
        if name.endswith(".toml"):
            return str(existing_file(folder)(name))
        if name not in profile_names():
            hint = did_you_mean(name, profile_names()) or "; `flatwatt profiles` lists them"
            raise ValueError(f"a known profile or the path of a .toml file{hint}")
        return name

    return rule


def _hours(value: object) -> tuple[int, int]:
    """Accept two hours of UTC; the second may lie on the next day.

    >>> _hours("16-4")
    (16, 4)
    """
    found = re.fullmatch(r"(\d{1,2})-(\d{1,2})", value) if isinstance(value, str) else None
    if not found or int(found[1]) > 23 or int(found[2]) > 24 or int(found[1]) == int(found[2]) % 24:
        raise ValueError('two different hours of UTC, such as "16-4"')
    return int(found[1]), int(found[2]) % 24


def gateway_fields(folder: Path) -> tuple[Field, ...]:
    """Give the keys before the first table; ``folder`` is where relative paths start."""
    return (
        Field("id", _identifier(32)),
        Field("name", text, default=None),
        Field("state_dir", _state_dir(folder), default=folder / "state"),
    )


SITE = (
    Field("name", text),
    Field("kind", one_of(*SITE_KINDS)),
    Field("grid", one_of(*regions()), default=None),
)

POLL = (
    Field("period_s", number(0.1, 3600, expected="seconds, from 0.1 to 3600"), default=1.0),
    Field("slow_period_s", number(0.1, 86400, expected="seconds, from 0.1 to 86400"), default=60.0),
    Field("window_s", whole(1, _HOUR_S), default=900),
)

BUS = (
    Field("name", text),
    Field("url", text),
    Field("timeout_s", number(0.01, 60, expected="seconds, from 0.01 to 60"), default=1.0),
    Field("retries", whole(0, 10), default=1),
)


def fact_fields(identifier: Rule) -> tuple[Field, ...]:
    """Give the keys of a ``[[meter]]`` that are facts about it; recordings name meters more freely than topics."""
    return (
        Field("id", identifier),
        Field("name", text, default=None),
        Field("role", one_of(*ROLES), default="load"),
        Field("parent", text, default=None),
        Field("source", one_of(*SOURCES), default=None),
        Field("capacity_wh", number(1, 1e12, expected="watt-hours, from 1 to 1e12"), default=None),
        Field("declared", one_of(*DECLARED), default=None),
        Field("declared_w", number(0, 1e9, expected="watts, from 0 to 1e9"), default=None),
        Field("declared_hours", _hours, default=None),
    )


def meter_fields(folder: Path) -> tuple[Field, ...]:
    """Give the keys of a ``[[meter]]`` on a bus."""
    ratio = number(1e-3, 1e5, expected="a ratio, from 0.001 to 100000")
    return (
        *fact_fields(_identifier(24)),
        Field("bus", text),
        Field("unit", whole(0, 255)),
        Field("profile", _profile(folder)),
        Field("ct_ratio", ratio, default=1.0),
        Field("vt_ratio", ratio, default=1.0),
        Field("max_power_w", number(1, 1e9, expected="watts, from 1 to 1e9"), default=None),
    )


def check_poll(check: Check, poll: dict[str, Any]) -> None:
    """Check that windows, periods and ticks fit together."""
    for key, why in poll_mistakes(**poll):
        check.complain(("poll", key), why)


def poll_mistakes(period_s: float, slow_period_s: float, window_s: int) -> Iterator[tuple[str, str]]:
    """Give key and trouble where windows do not tile the hour, as the history needs, or hold no whole ticks."""
    if _HOUR_S % window_s:
        yield "window_s", f"{window_s} does not divide an hour; take 60, 300, 900 or 3600"
    for key, value_s in (("slow_period_s", slow_period_s), ("window_s", window_s)):
        count = value_s / period_s
        if round(count) < 1 or abs(count - round(count)) > 1e-6:  # 1e-6 of a period is rounding, not intent
            yield key, f"{value_s:g} is no multiple of period_s = {period_s:g}"


def check_buses(check: Check, buses: list[dict[str, Any]], meters: list[dict[str, Any]]) -> None:
    """Check that buses and meters find each other, and that no two meters answer to one unit id."""
    for key in ("bus", "meter"):
        if not check.source.data.get(key):
            check.complain((key,), f"missing, expected at least one table [[{key}]]")
    _check_unique(check, "bus", "name", (bus["name"] for bus in buses))
    _check_unique(check, "bus", "url", [_line_name(check, index, bus["url"]) for index, bus in enumerate(buses)])
    names, used = [bus["name"] for bus in buses], {meter["bus"] for meter in meters}
    for index, meter in enumerate(meters):
        if meter["bus"] and meter["bus"] not in names:
            hint = did_you_mean(meter["bus"], filter(None, names))
            check.complain(("meter", index, "bus"), f'"{meter["bus"]}" is no [[bus]] of this file{hint}')
    for index, name in enumerate(names):
        if name and name not in used and used <= set(names):  # else the unknown name above tells it already
            check.complain(("bus", index), f'no meter is on bus "{name}"; remove it or add a [[meter]] to it')
    known = [meter["unit"] is not None and meter["bus"] for meter in meters]
    asked = [f"unit {m['unit']} on bus {m['bus']}" if both else None for m, both in zip(meters, known, strict=True)]
    _check_unique(check, "meter", "unit", asked)
    _check_units(check, {bus["name"]: bus["url"] for bus in buses}, meters)


def _check_units(check: Check, urls: dict[str | None, str | None], meters: list[dict[str, Any]]) -> None:
    for index, meter in enumerate(meters):
        url = urls.get(meter["bus"])
        if url is None or meter["unit"] is None:
            continue
        with suppress(InputError):  # the URL is complained about where it stands
            if expected := wrong_unit(url, meter["unit"]):
                check.complain(("meter", index, "unit"), f"{meter['unit']} is wrong, expected {expected} on {url}")


def _line_name(check: Check, index: int, url: str | None) -> str | None:
    """Give the one spelling of a bus's URL, so that a line named twice is seen; None where it is wrong."""
    try:
        return str(parse_url(url)) if url else None
    except InputError as error:
        check.complain(("bus", index, "url"), str(error))
        return None


def check_meters(check: Check, meters: list[dict[str, Any]]) -> None:
    """Check ids, the tree of parents, and what is declared."""
    ids = [meter["id"] for meter in meters]
    _check_unique(check, "meter", "id", ids)
    parents = {meter["id"]: meter["parent"] for meter in meters if meter["id"]}
    told: set[str] = set()  # meters on a ring that is already complained about
    for index, meter in enumerate(meters):
        if meter["parent"] and meter["parent"] not in parents:
            hint = did_you_mean(meter["parent"], parents)
            check.complain(("meter", index, "parent"), f'"{meter["parent"]}" is no [[meter]] of this file{hint}')
        ring = _ring(meter["id"], parents)
        if ring and not told.intersection(ring):
            check.complain(("meter", index, "parent"), f"goes round in a ring: {' under '.join(ring)}")
        told.update(ring)
        _check_source(check, index, meter)
        _check_declared(check, index, meter)


def _check_declared(check: Check, index: int, meter: dict[str, Any]) -> None:
    """Check that what was declared of a load can have an effect."""
    written = check.source.data["meter"][index]  # what is wrong there is told already
    if meter["declared"] and meter["role"] == "generation":
        check.complain(("meter", index, "declared"), 'has no effect with role = "generation", which is no load')
    if meter["declared_w"] is not None and "declared" not in written:
        check.complain(("meter", index, "declared_w"), "has no effect without declared, the kind of the load")
    if meter["declared_hours"] and "declared_w" not in written:
        check.complain(("meter", index, "declared_hours"), "has no effect without declared_w, what it draws then")
    most_w = meter.get("max_power_w")
    if most_w is not None and meter["declared_w"] is not None and meter["declared_w"] > most_w:
        what = f"{meter['declared_w']:g} is more than max_power_w = {most_w:g}"
        check.complain(("meter", index, "declared_w"), f"{what}, what the feeder can carry; one of them is wrong")


def _check_source(check: Check, index: int, meter: dict[str, Any]) -> None:
    """Check that a source of energy stands where it can be one: the grid at the top, all others as generation."""
    source, generates = meter["source"], meter["role"] == "generation"
    written = check.source.data["meter"][index]  # what is wrong there is told already
    if source == "grid" and generates:
        check.complain(("meter", index, "source"), '"grid" is an incomer, no generation; leave role out')
    elif source == "grid" and meter["parent"]:
        check.complain(("meter", index, "source"), '"grid" is an incomer, and this meter has a parent; remove one')
    elif source in (*LOCAL, "battery") and not generates:
        check.complain(("meter", index, "source"), f'"{source}" needs role = "generation"')
    if source == "battery" and "capacity_wh" not in written:
        check.complain(("meter", index, "capacity_wh"), "missing: a battery carries at most its capacity, in Wh")
    is_wrong = source is None and "source" in written
    if source != "battery" and meter["capacity_wh"] is not None and not is_wrong:
        check.complain(("meter", index, "capacity_wh"), 'has no effect without source = "battery"')


def check_factors(check: Check, own: list[dict[str, Any]]) -> None:
    """Check that no source has two factors."""
    _check_unique(check, "emission_factor", "source", (factor["source"] for factor in own))


def _ring(meter: str | None, parents: dict[str, str | None]) -> list[str]:
    """Give the way up from a meter back to itself; empty where there is none."""
    way, at = [], meter
    while at and at not in way:
        way.append(at)
        at = parents.get(at)
    return [*way, at] if at and at == meter else []


def _check_unique(check: Check, table: str, key: str, values: Iterable[str | None]) -> None:
    first: dict[str, int] = {}
    for index, value in enumerate(values):
        if value is not None and first.setdefault(value, index) != index:
            line = check.source.line((table, first[value]))
            check.complain((table, index, key), f'"{value}" is taken already by the [[{table}]] at line {line}')
