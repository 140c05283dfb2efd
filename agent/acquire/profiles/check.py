"""What must fit together in a profile: names, types, references, addresses, limits.

An entry is a checked table of ``[registers]`` or ``[parameters]`` with its ``name``, its ``table``
and its ``count`` of registers; what was wrong or missing in it is None, and told already.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from agent.acquire.profiles.fields import LAST_ADDRESS, ORDERS
from agent.quantities import QUANTITIES
from agent.toml_check import Check, did_you_mean
from agent.toml_source import KeyPath

Entry = Mapping[str, Any]

_KILO, _MEGA = ("w", "wh", "var", "varh", "va", "v"), ("w", "wh", "var", "varh", "va")
_OTHER_UNITS = {  # how others end their names, how we do, and the scale between
    **{f"k{unit}": (unit, 1e3) for unit in _KILO},
    **{f"m{unit}": (unit, 1e6) for unit in _MEGA},
    "ma": ("a", 1e-3),
}
_SUNSPEC_BASE = 40_000  # where most maps begin; no model is so long


def check_entries(check: Check, limits: Entry, sunspec: Entry, entries: Sequence[Entry]) -> None:
    """Check every entry by itself, with the others, and against the limits of a request."""
    for entry in entries:
        _check_name(check, entry)
        _check_shape(check, entry)
    _check_power(check, entries)
    _check_references(check, entries)
    _check_limits(check, limits, entries)
    _check_overlaps(check, limits["single"], entries)
    if sunspec["models"]:
        _check_offsets(check, entries)


def check_identity(check: Check, identity: Mapping[str, Sequence[float]]) -> None:
    """Check that values which identify a model can be read at all."""
    for name, values in identity.items():
        quantity = QUANTITIES.get(name)
        for value in values if quantity else ():
            if quantity and not quantity.low <= value <= quantity.high:
                limits = f"outside {quantity.low:g} to {quantity.high:g}, which this quantity can be"
                why = "; of a longer text take the first four bytes, as a u32" if value > 2**53 else ""
                check.complain(("identity", name), f"{value:g} is {limits}{why}")


def _check_name(check: Check, entry: Entry) -> None:
    table, name = entry["table"], entry["name"]
    if table == "registers" and name not in QUANTITIES:
        hint = _other_unit(name) or did_you_mean(name, QUANTITIES) or "; a name of your own belongs into [parameters]"
        check.complain((table, name), f"no quantity of the vocabulary{hint}")
    if table == "parameters" and name in QUANTITIES:
        check.complain((table, name), "a quantity of the vocabulary, which belongs into [registers]")


def _other_unit(name: str) -> str:
    stem, _, unit = name.rpartition("_")
    ending, scale = _OTHER_UNITS.get(unit, ("", 1.0))
    ours = QUANTITIES.get(f"{stem}_{ending}")
    return f', did you mean "{ours.name}"? It is in {ours.unit}: multiply its scale by {scale:g}' if ours else ""


def _check_shape(check: Check, entry: Entry) -> None:
    """Check that order, address and absent patterns fit the type of an entry."""
    path, count = _path(entry), entry["count"]
    if not count:
        return
    if entry["order"] and len(entry["order"]) != 2 * count:
        fitting = ", ".join(order for order in ORDERS if len(order) == 2 * count)
        sizes = f'order "{entry["order"]}" has {len(entry["order"])} bytes and {entry["dtype"]} has {2 * count}'
        check.complain((*path, "order"), f"{sizes}, expected one of {fitting}")
    if entry["address"] is not None and entry["address"] + count - 1 > LAST_ADDRESS:
        check.complain((*path, "address"), f"{entry['dtype']} at {entry['address']:#06x} ends after 0xffff")
    for pattern in entry["absent"]:
        if pattern >= 1 << 16 * count:
            check.complain((*path, "absent"), f"{pattern:#x} does not fit {entry['dtype']}")


def _check_power(check: Check, entries: Sequence[Entry]) -> None:
    """Check that the active power is read at every poll: all that the agent says of a load, it says by it."""
    power = next((entry for entry in entries if entry["name"] == "active_power_w"), None)
    misnamed = any(entry["table"] == "registers" and entry["name"] not in QUANTITIES for entry in entries)
    if power is None and entries and not misnamed:
        total = 'a meter without a total has the register of phase 1 here, and plus = ["active_power_l2_w", …]'
        check.complain(("registers", "active_power_w"), f"missing, and a load is judged by it; {total}")
    elif power and power["tier"] not in ("fast", None):
        check.complain((*_path(power), "tier"), f'"{power["tier"]}" is too seldom for what a load is judged by: "fast"')


def _check_references(check: Check, entries: Sequence[Entry]) -> None:
    known = {entry["name"]: entry for entry in entries}
    for entry in entries:
        factors = [("multiply_by", name) for name in entry["multiply_by"]]
        factors += [("exponent_from", entry["exponent_from"])] if entry["exponent_from"] else []
        parts = [(key, name) for key in ("plus", "minus") for name in entry[key]]
        for key, name in (*factors, *parts):
            if name not in known:
                hint = did_you_mean(name, known)
                check.complain((*_path(entry), key), f'"{name}" is no entry of [registers] or [parameters]{hint}')
            elif name == entry["name"]:
                check.complain((*_path(entry), key), f'"{name}" is this entry itself')
            elif mistake := _factor(known[name]) if (key, name) in factors else _part(entry, known[name]):
                check.complain((*_path(entry), key), f'"{name}" {mistake}')
        if parts and entry["table"] == "parameters":
            check.complain(_path(entry), "a sum that nothing can refer to; name its parts in the entry that needs them")


def _factor(named: Entry) -> str:
    """Say what keeps an entry from being a factor or an exponent of others."""
    if named["multiply_by"] or named["exponent_from"]:
        return "refers to other entries itself; name those here instead"
    return "is a sum, and a factor must be one register" if named["plus"] or named["minus"] else ""


def _part(entry: Entry, named: Entry) -> str:
    """Say what keeps an entry from being a part of a sum: it is no sum itself, of one unit, read in the same poll."""
    whole, part = QUANTITIES.get(entry["name"]), QUANTITIES.get(named["name"])
    if named["plus"] or named["minus"]:
        return "is a sum itself; name its parts here instead"
    if whole and part and whole.unit != part.unit:
        return f"is in {part.unit or 'no unit'} and {entry['name']} in {whole.unit or 'no unit'}"
    if named["tier"] != entry["tier"]:
        tiers = f"is of tier {named['tier']} and {entry['name']} of tier {entry['tier']}"
        return f"{tiers}; values that are added must be read in the same poll: give both one tier"
    return ""


def _check_limits(check: Check, limits: Entry, entries: Sequence[Entry]) -> None:
    names = [entry["name"] for entry in entries]
    for name in limits["single"]:
        if name not in names:
            check.complain(("limits", "single"), f'"{name}" is no entry of [registers]{did_you_mean(name, names)}')
    even, longest = limits["even_blocks"], limits["max_registers"]
    if even and longest < 2:
        check.complain(("limits", "max_registers"), "1 allows no request of an even length, and even_blocks is set")
    for entry in entries:
        count, address = entry["count"], entry["address"]
        if count and longest and count > longest:
            check.complain((*_path(entry), "dtype"), f"takes {count} registers, and max_registers is {longest}")
        if count and address is not None:
            if even and count > 1 and address % 2:
                check.complain((*_path(entry), "address"), f"{address:#06x} is odd, and even_blocks is set")
            _check_forbidden(check, limits, entry)


def _check_forbidden(check: Check, limits: Entry, entry: Entry) -> None:
    first, last = entry["address"], entry["address"] + entry["count"] - 1
    if limits["even_blocks"]:
        first, last = first - first % 2, last + 1 - last % 2
    for low, high in limits["forbidden"]:
        if first <= high and low <= last:
            reads = f"reading it touches {max(first, low):#06x}, which [limits] forbidden rules out"
            check.complain((*_path(entry), "address"), reads)


def _check_overlaps(check: Check, single: Sequence[str], entries: Sequence[Entry]) -> None:
    """Two values may share a register where one of them is read alone, or is a sum that begins with the other."""
    placed = [entry for entry in entries if entry["count"] and entry["address"] is not None]
    blocks = sorted(
        (entry for entry in placed if entry["name"] not in single and entry["function"]),
        key=lambda entry: (entry["function"], entry["address"]),
    )
    for left, right in pairwise(blocks):
        apart = left["function"] != right["function"] or left["address"] + left["count"] <= right["address"]
        if not apart and not _sum_of_the_same(left, right):
            text = f"{right['address']:#06x} overlaps {left['name']}, which ends at"
            check.complain((*_path(right), "address"), f"{text} {left['address'] + left['count'] - 1:#06x}")


def _sum_of_the_same(left: Entry, right: Entry) -> bool:
    same = all(left[key] == right[key] for key in ("address", "dtype", "order"))
    return same and any(entry["plus"] or entry["minus"] for entry in (left, right))


def _check_offsets(check: Check, entries: Sequence[Entry]) -> None:
    """Check the entries of a SunSpec model: holding registers, counted from the model's first one."""
    for entry in entries:
        if entry["function"] == 4:
            check.complain((*_path(entry), "function"), "4, and SunSpec models are read with function 3")
        if entry["address"] is not None and entry["address"] >= _SUNSPEC_BASE:
            where = "counts from the first register of the model, its ID at 0"
            check.complain(
                (*_path(entry), "address"), f"{entry['address']} is absolute; with [sunspec] an address {where}"
            )


def _path(entry: Entry) -> KeyPath:
    return entry["table"], entry["name"]
