"""Meter profiles: the register map of a model, read from a TOML file by a checker that teaches.

The format is described in docs/adding-a-meter.md. The profiles that ship with flatwatt lie in
``configs/meters``; a profile of one's own is named by its path.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from agent.acquire.profiles.check import check_entries, check_identity
from agent.acquire.profiles.fields import COMMON, LIMITS, METER, OWN, SERIAL, SUNSPEC
from agent.errors import InputError
from agent.records import MeterProfile, Register, Tier
from agent.toml_check import REQUIRED, Check, Field, did_you_mean, expectation, list_of, number, shown
from agent.toml_source import TomlSource, read_toml

_TABLES = ("meter", "limits", "serial", "sunspec", "identity", "defaults", "registers", "parameters")


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
    return checked_profile(path, read_toml(path))


def checked_profile(path: Path, source: TomlSource) -> MeterProfile:
    """Check what was read from a path. Raises InputError with every mistake."""
    check = Check(source)
    check.top((), tables=_TABLES)
    meter, limits, serial = check.table("meter", METER), check.table("limits", LIMITS), check.table("serial", SERIAL)
    sunspec = check.table("sunspec", SUNSPEC)
    fields = _entry_fields(check)
    entries = _entries(check, "registers", fields) + _entries(check, "parameters", fields)
    check_entries(check, limits, sunspec, entries)
    identity = _identity(check, entries)
    check_identity(check, identity)
    check.finish()
    return MeterProfile(
        name=path.stem,
        **(meter | limits | serial),
        registers=tuple(_register(entry) for entry in entries),
        identity=identity,
        sunspec=sunspec["models"],
        digest=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
    )


def _entry_fields(check: Check) -> tuple[Field, ...]:
    """Give the fields of an entry, with the file's own defaults; a mistake that all entries share is told once."""
    own = check.table("defaults", [Field(field.name, field.rule, default=None) for field in COMMON])
    said = check.source.data.get("defaults", {})
    common = []
    for field in COMMON:
        default = field.default if own[field.name] is None else own[field.name]
        if default is REQUIRED and (not isinstance(said, dict) or field.name in said):
            default = None
        elif default is REQUIRED and _nobody_says(check, field.name):
            check.complain(
                ("defaults", field.name), f"missing, here or in every entry; expected {expectation(field.rule)}"
            )
            default = None
        common.append(Field(field.name, field.rule, default=default))
    return (*common, *OWN)


def _nobody_says(check: Check, key: str) -> bool:
    tables = [check.source.data.get(table, {}) for table in ("registers", "parameters")]
    entries = [entry for table in tables if isinstance(table, dict) for entry in table.values()]
    return bool(entries) and not any(isinstance(entry, dict) and key in entry for entry in entries)


def _entries(check: Check, table: str, fields: Sequence[Field]) -> list[dict[str, Any]]:
    found = check.source.data.get(table, {})
    if not isinstance(found, dict) or (table == "registers" and not found):
        wrong = "missing" if found == {} else f"{shown(found)} is wrong"
        check.complain((table,), f"{wrong}, expected one line an entry, such as voltage_l1_v = {{ address = 0 }}")
        return []
    entries = []
    for name, values in found.items():
        entry = check.fields((table, name), values, fields)
        count = int(entry["dtype"][1:]) // 16 if entry["dtype"] else None
        entries.append(entry | {"name": name, "table": table, "count": count})
    return entries


def _identity(check: Check, entries: Sequence[dict[str, Any]]) -> dict[str, tuple[float, ...]]:
    names = [entry["name"] for entry in entries if entry["table"] == "registers"]
    identity = check.table("identity", [Field(name, list_of(number()), default=()) for name in names])
    return {name: values for name, values in identity.items() if values}


def _register(entry: dict[str, Any]) -> Register:
    own = {key: value for key, value in entry.items() if key not in ("table", "count", "tier")}
    return Register(**own, tier=Tier(entry["tier"]), parameter=entry["table"] == "parameters")
