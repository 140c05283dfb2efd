"""SunSpec devices: where a model lies, and what a reader that looks for it finds before and behind it.

Source: SunSpec Device Information Model Specification, "Modbus map": the mark "SunS" at one of
three addresses, then models one after another, each with its number and its length first; the
common model (1) is the first, and 0xFFFF ends the list.
"""

import dataclasses
import struct

from firmware_sim.profile import Entry, Fixed, Profile

BASES = (40000, 50000, 0)
_COMMON_LENGTH = 66
_MODEL_AT = 2 + 2 + _COMMON_LENGTH  # after "SunS" and the common model
_LENGTHS = dict.fromkeys((201, 202, 203, 204), 105) | dict.fromkeys((211, 212, 213, 214), 124)
_HEADER = 2  # number and length of a model


def placed(profile: Profile, base: int, serial: int) -> Profile:
    """Give the profile with the addresses that its entries have on a device whose map begins at ``base``."""
    # the models of one kind differ in their last digit: 1 single, 2 split, 3 three phases
    number = next((n for n in profile.sunspec if n % 10 == profile.phases), profile.sunspec[0])
    start = base + _MODEL_AT
    function = profile.entries[0].function
    own = [*profile.entries, *profile.parameters]
    length = _LENGTHS.get(number, max(entry.address + entry.count for entry in own) - _HEADER)
    named = {entry.address for entry in own}
    header = [struct.pack(">H", word) for word in (number, length)]
    fixed = [(base, b"SunS" + _common(profile, serial)), (start + _HEADER + length, b"\xff\xff\0\0")]
    fixed += [(start + offset, word) for offset, word in enumerate(header) if offset not in named]
    return dataclasses.replace(
        profile,
        entries=tuple(_moved(entry, start) for entry in profile.entries),
        parameters=tuple(_moved(entry, start) for entry in profile.parameters),
        fixed=tuple(Fixed(function=function, address=address, data=data) for address, data in fixed),
        forbidden=tuple((first + start, last + start) for first, last in profile.forbidden),
        identity=profile.identity | {entry.name: float(number) for entry in profile.entries if entry.address == 0},
    )


def _common(profile: Profile, serial: int) -> bytes:
    """Give model 1: manufacturer, model, options, version, serial number, device address, padding."""
    texts = [(profile.maker, 32), (profile.model, 32), ("", 16), ("1.0", 16), (str(serial), 32)]
    body = b"".join(text.encode("ascii", "replace")[:size].ljust(size, b"\0") for text, size in texts)
    return struct.pack(">HH", 1, _COMMON_LENGTH) + body + struct.pack(">HH", 1, 0x8000)


def _moved(entry: Entry, start: int) -> Entry:
    return dataclasses.replace(entry, address=entry.address + start)
