"""What is allowed in a profile and yet often a mistake: questions to whoever wrote it."""

from collections.abc import Iterator
from typing import NamedTuple

from agent.errors import Complaint
from agent.quantities import QUANTITIES
from agent.records import MeterProfile, Register, Tier
from agent.toml_source import KeyPath, TomlSource

_LARGE_COUNTER_WH = 500e6  # a feeder of 100 kW takes half a year to fill it: no maker plans for less
_FLOAT_BITS = {"f32": 24, "f64": 53}  # bits of what counts exactly
_SIGNED_UNITS = ("W", "var")
_MANUAL_BASES = {3: 40_001, 4: 30_001}  # the first number of a manual, by function
_MANUAL_NUMBERS = 9_999  # as many as five digits leave
_NAMEPLATE = ("serial_number", "model_code", "ct_ratio", "vt_ratio", "ct_primary_a", "ct_secondary_a")
_NUMBERS = ("serial_number", "model_code")  # exact up to 2^53, where a float64 ends to hold every whole number


class Note(NamedTuple):
    """One question, and the key that raises it."""

    path: KeyPath
    text: str


def profile_notes(profile: MeterProfile, source: TomlSource) -> tuple[Complaint, ...]:
    """Give the questions about a sound profile, in the order of the file."""
    notes = [*_addresses(profile), *_parameters(profile)]
    notes += [note for register in profile.registers for note in _register(register, profile)]
    told = [Complaint(source.file, source.line(path), ".".join(map(str, path)), text) for path, text in notes]
    return tuple(sorted(told, key=lambda complaint: complaint.line))


def _addresses(profile: MeterProfile) -> Iterator[Note]:
    """Ask where the addresses may be the numbers of a manual."""
    if profile.sunspec:
        return
    for function, base in _MANUAL_BASES.items():
        found = [register.address for register in profile.registers if register.function == function]
        if len(found) > 1 and all(base <= address < base + _MANUAL_NUMBERS for address in found):
            numbers = f"all addresses of function {function} lie from {base} to {base + _MANUAL_NUMBERS - 1}"
            yield Note(("registers",), f"{numbers}: if the manual counts from {base}, {base} is address 0 on the wire")
    if min(register.address for register in profile.registers) == 1:
        yield Note(("registers",), "the first address is 1: if the manual counts from 1, each is one less on the wire")


def _parameters(profile: MeterProfile) -> Iterator[Note]:
    referred = {name for r in profile.registers for name in (*r.multiply_by, r.exponent_from, *r.plus, *r.minus)}
    for register in profile.registers:
        if register.parameter and register.name not in referred:
            path = ("parameters", register.name)
            yield Note(path, "no entry refers to it, and a parameter is not reported: leave it out")


def _register(register: Register, profile: MeterProfile) -> Iterator[Note]:
    path = ("registers", register.name)
    quantity = QUANTITIES.get(register.name)
    if quantity is None or register.parameter:
        return
    if note := _wrong_tier(register, quantity.counter):
        yield Note(path, note)
    if quantity.counter and (note := _small_counter(register, quantity.unit)):
        yield Note(path, note)
    if quantity.unit in _SIGNED_UNITS and register.dtype[0] == "u" and not register.minus:
        signed = f'"i{register.dtype[1:]}"'
        yield Note(
            (*path, "dtype"), f"unsigned, so it cannot fall below zero at export: does the manual mean {signed}?"
        )
    if register.name in _NUMBERS and register.dtype in ("u64", "i64"):
        yield Note(
            (*path, "dtype"),
            "above 2^53 it is unknown, as every text is: of a text take the first four bytes, as a u32",
        )
    if profile.phases == 1 and ("_l2" in register.name or "_l3" in register.name):
        yield Note(path, "of a second or third phase, and [meter] phases is 1")


def _wrong_tier(register: Register, is_counter: bool) -> str:
    """Ask where a value is read more often than it changes, or hardly ever."""
    if register.name in _NAMEPLATE:
        return "" if register.tier is Tier.IDENTITY else 'it changes with the meter only: tier = "identity"'
    if register.tier is Tier.IDENTITY:
        return 'read once an hour, as what stands on the nameplate: does tier = "identity" belong here?'
    late = is_counter and register.tier is Tier.FAST
    return 'a counter at every poll costs bus time for nothing: tier = "slow"' if late else ""


def _small_counter(register: Register, unit: str) -> str:
    """Ask where a counter is full too soon, or finer than meters are: its unit may be a thousand times larger."""
    if register.multiply_by or register.exponent_from or register.plus:
        return ""
    bits = _FLOAT_BITS.get(register.dtype) or int(register.dtype[1:]) - (register.dtype[0] == "i")
    step, full = abs(register.scale), abs(register.scale) * 2**bits
    sizes = [f"in steps of {step:g} {unit}"] if step < 1 else []
    exactly = "exactly to" if register.dtype[0] == "f" else "to"
    sizes += [f"{exactly} {full / 1e6:.3g} M{unit} and no further"] if full < _LARGE_COUNTER_WH else []
    if not sizes:
        return ""
    return f"counts {' and '.join(sizes)}: is the register really in {unit}? In k{unit} its scale is 1000 times as much"
