"""Meter profiles: the register map of a model, read from a TOML file by a checker that teaches.

The format is described in docs/adding-a-meter.md. The profiles that ship with flatwatt lie in
``configs/meters``; a profile of one's own is named by its path.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

from agent.errors import InputError
from agent.quantities import QUANTITIES
from agent.records import MeterProfile, Register, Tier
from agent.toml_check import Check, Field, did_you_mean, flag, list_of, matching, number, one_of, text, whole
from agent.toml_source import read_toml

ORDERS = ("AB", "BA", "ABCD", "CDAB", "BADC", "DCBA", "ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA")
_DTYPES = ("u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64")
_LAST_ADDRESS = 0xFFFF
_NAME = matching("[a-z][a-z0-9_]*", "a name of a-z, 0-9 and _")


def _address_range(value: object) -> tuple[int, int]:
    ends = value if isinstance(value, list) else []
    if len(ends) != 2 or not all(type(end) is int and 0 <= end <= _LAST_ADDRESS for end in ends) or ends[0] > ends[1]:
        raise ValueError("a pair [first, last] of addresses, such as [0x0014, 0x0017]")
    return ends[0], ends[1]


_METER = (
    Field("maker", text),
    Field("model", text),
    Field("phases", one_of(1, 2, 3)),
    Field("sources", list_of(text)),
    Field("left_out", list_of(text), default=()),
)

_LIMITS = (
    Field("max_registers", whole(1, 125), default=125),  # 125 is what a Modbus reply can carry
    Field("max_gap", whole(0, 124), default=None),
    Field("forbidden", list_of(_address_range), default=()),
    Field("even_blocks", flag, default=False),
    Field("single", list_of(_NAME), default=()),
    Field("min_gap_ms", number(0, 10_000, expected="milliseconds, from 0 to 10000"), default=0.0),
    Field("min_timeout_ms", number(0, 10_000, expected="milliseconds, from 0 to 10000"), default=0.0),
)

_SUNSPEC = (Field("models", list_of(whole(1, 0xFFFF)), default=()),)

_SERIAL = (
    Field("baud", whole(300, 4_000_000), default=0),
    Field("parity", one_of("N", "E", "O"), default=""),
    Field("stopbits", one_of(1, 2), default=0),
)


def _scale(value: object) -> float:
    scale = float(number()(value))
    if not scale:
        raise ValueError("a number other than 0")
    return scale


_COMMON = (  # what [defaults] may say for every entry; the required ones must come from there or from the entry
    Field("function", one_of(3, 4)),
    Field("dtype", one_of(*_DTYPES)),
    Field("order", one_of(*ORDERS)),
    Field("verified", one_of("2 sources", "1 source")),
    Field("scale", _scale, default=1.0),
    Field("tier", one_of(*(str(tier) for tier in Tier)), default="fast"),
    Field("absent", list_of(whole(0, 2**64 - 1)), default=()),
)

_OWN = (
    Field("address", whole(0, _LAST_ADDRESS)),
    Field("multiply_by", list_of(_NAME), default=()),
    Field("exponent_from", _NAME, default=""),
    Field("plus", list_of(_NAME), default=()),
    Field("minus", list_of(_NAME), default=()),
    Field("note", text, default=""),
)


@cache
def profile_names() -> tuple[str, ...]:
    """Give the names of the profiles that ship with flatwatt."""
    return tuple(sorted(path.name.removesuffix(".toml") for path in _shipped().iterdir() if path.suffix == ".toml"))


def find_profile(name: str) -> MeterProfile:
    """Load a shipped profile by its name, or one's own by a path that ends in .toml. Raises InputError."""
    if name.endswith(".toml"):
        return load_profile(Path(name))
    if name not in profile_names():
        hint = did_you_mean(name, profile_names()) or "; `flatwatt profiles` lists them"
        raise InputError(f'unknown profile "{name}"{hint}')
    return load_profile(_shipped() / f"{name}.toml")


def _shipped() -> Path:
    return Path(str(files("configs").joinpath("meters")))


def load_profile(path: Path) -> MeterProfile:
    """Read and check one profile. Raises InputError with every mistake."""
    check = Check(read_toml(path))
    check.top((), tables=("meter", "limits", "serial", "sunspec", "identity", "defaults", "registers", "parameters"))
    meter, limits, serial = check.table("meter", _METER), check.table("limits", _LIMITS), check.table("serial", _SERIAL)
    sunspec = check.table("sunspec", _SUNSPEC)
    entry = _entry_fields(check)
    entries = _entries(check, "registers", entry) + _entries(check, "parameters", entry)
    _check_references(check, entries)
    _check_limits(check, limits, entries)
    _check_overlaps(check, limits["single"], entries)
    identity = _identity(check, entries)
    check.finish()
    return MeterProfile(
        name=path.stem,
        **(meter | limits | serial),
        sunspec=sunspec["models"],
        registers=tuple(_register(entry) for entry in entries),
        identity={name: values for name, values in identity.items() if values},
        digest=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
    )


def _entry_fields(check: Check) -> tuple[Field, ...]:
    """Give the fields of an entry, with the file's own defaults."""
    own = check.table("defaults", [Field(field.name, field.rule, default=None) for field in _COMMON])
    common = (
        field if own[field.name] is None else Field(field.name, field.rule, default=own[field.name])
        for field in _COMMON
    )
    return (*common, *_OWN)


def _entries(check: Check, table: str, fields: Sequence[Field]) -> list[dict[str, Any]]:
    found = check.source.data.get(table, {})
    if not isinstance(found, dict) or (table == "registers" and not found):
        check.complain((table,), "missing, expected a table of registers")
        return []
    entries = []
    for name, values in found.items():
        _check_name(check, table, name)
        entry = check.fields((table, name), values, fields)
        entry |= {"name": name, "table": table, "count": int(entry["dtype"][1:]) // 16 if entry["dtype"] else None}
        _check_shape(check, entry)
        entries.append(entry)
    return entries


def _check_name(check: Check, table: str, name: str) -> None:
    if table == "registers" and name not in QUANTITIES:
        hint = did_you_mean(name, QUANTITIES) or "; a name of your own belongs into [parameters]"
        check.complain((table, name), f"no quantity of the vocabulary{hint}")
    if table == "parameters" and name in QUANTITIES:
        check.complain((table, name), "a quantity of the vocabulary, which belongs into [registers]")


def _check_shape(check: Check, entry: dict[str, Any]) -> None:
    """Check that order, address and absent patterns fit the type of an entry."""
    path, count = (entry["table"], entry["name"]), entry["count"]
    if not count:
        return
    if entry["order"] and len(entry["order"]) != 2 * count:
        fitting = ", ".join(order for order in ORDERS if len(order) == 2 * count)
        sizes = f'order "{entry["order"]}" has {len(entry["order"])} bytes and {entry["dtype"]} has {2 * count}'
        check.complain((*path, "order"), f"{sizes}, expected one of {fitting}")
    if entry["address"] is not None and entry["address"] + count > 0x10000:
        check.complain((*path, "address"), f"{entry['dtype']} at {entry['address']:#06x} ends after 0xffff")
    for pattern in entry["absent"]:
        if pattern >= 1 << 16 * count:
            check.complain((*path, "absent"), f"{pattern:#x} does not fit {entry['dtype']}")


def _check_references(check: Check, entries: list[dict[str, Any]]) -> None:
    """Check that what an entry refers to is there, and refers to nothing itself."""
    known = {entry["name"]: entry for entry in entries}
    for entry in entries:
        named = [("multiply_by", name) for name in entry["multiply_by"]]
        named += [("exponent_from", entry["exponent_from"])] if entry["exponent_from"] else []
        for key, name in named:
            path = (entry["table"], entry["name"], key)
            if name not in known:
                hint = did_you_mean(name, known)
                check.complain(path, f'"{name}" is no entry of [registers] or [parameters]{hint}')
            elif known[name]["multiply_by"] or known[name]["exponent_from"]:
                check.complain(path, f'"{name}" refers to other entries itself; name those here instead')
        for key in ("plus", "minus"):
            for name in entry[key]:
                _check_part(check, entry, key, name, known)


def _check_part(check: Check, entry: dict[str, Any], key: str, name: str, known: dict[str, dict[str, Any]]) -> None:
    """Check that a part of a sum is there, is no sum itself, and is read in the same poll."""
    path = (entry["table"], entry["name"], key)
    if name not in known:
        check.complain(path, f'"{name}" is no entry of [registers] or [parameters]{did_you_mean(name, known)}')
    elif known[name]["plus"] or known[name]["minus"]:
        check.complain(path, f'"{name}" is a sum itself; name its parts here instead')
    elif known[name]["tier"] != entry["tier"]:
        tiers = f'"{name}" is of tier {known[name]["tier"]} and {entry["name"]} of tier {entry["tier"]}'
        check.complain(path, f"{tiers}; values that are added must be read in the same poll: give both one tier")


def _check_limits(check: Check, limits: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    names = [entry["name"] for entry in entries]
    for name in limits["single"]:
        if name not in names:
            check.complain(("limits", "single"), f'"{name}" is no entry of [registers]{did_you_mean(name, names)}')
    for entry in entries:
        count, address, path = entry["count"], entry["address"], (entry["table"], entry["name"])
        if count and count > limits["max_registers"]:
            check.complain((*path, "dtype"), f"takes {count} registers, and max_registers is {limits['max_registers']}")
        if count and count > 1 and address and address % 2 and limits["even_blocks"]:
            check.complain((*path, "address"), f"{address:#06x} is odd, and even_blocks is set")


def _check_overlaps(check: Check, single: Sequence[str], entries: list[dict[str, Any]]) -> None:
    """Two values may share a register where one of them is read on its own (``single``), or where it is one value.

    A sum of the phases has the register of phase 1 and the others as its parts: phase 1 stands there twice.
    """
    placed = [entry for entry in entries if entry["count"] and entry["address"] is not None]
    blocks = sorted(
        (entry for entry in placed if entry["name"] not in single and entry["function"]),
        key=lambda entry: (entry["function"], entry["address"]),
    )
    for left, right in pairwise(blocks):
        if all(left[key] == right[key] for key in ("function", "address", "dtype", "order")):
            continue
        if left["function"] == right["function"] and left["address"] + left["count"] > right["address"]:
            text = f"{right['address']:#06x} overlaps {left['name']}, which ends at"
            path = (right["table"], right["name"], "address")
            check.complain(path, f"{text} {left['address'] + left['count'] - 1:#06x}")


def _identity(check: Check, entries: list[dict[str, Any]]) -> dict[str, tuple[float, ...]]:
    names = [entry["name"] for entry in entries if entry["table"] == "registers"]
    return check.table("identity", [Field(name, list_of(number()), default=()) for name in names])


def _register(entry: dict[str, Any]) -> Register:
    own = {key: value for key, value in entry.items() if key not in ("table", "count", "note", "tier")}
    return Register(**own, tier=Tier(entry["tier"]), parameter=entry["table"] == "parameters")
