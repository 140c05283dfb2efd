"""The encoder against words worked out by hand, and the limits that a meter sets to requests."""

import math
from pathlib import Path

import numpy as np
import pytest

from firmware_sim.profile import METERS, Entry, Profile, read_profile
from firmware_sim.registers import RegisterMap, encode


def entry(dtype: str, order: str, name: str = "active_power_w", **more: object) -> Entry:
    """Make an entry at address 0."""
    return Entry(name=name, function=4, address=0, dtype=dtype, order=order, **more)  # type: ignore[arg-type]


def wire(value: float, what: Entry, factor: float = 1.0) -> str:
    """Encode one value; give the wire bytes in hex."""
    return bytes(encode(np.array([value]), what, factor)[0]).hex()


@pytest.mark.parametrize(
    ("value", "what", "expected"),
    [
        (230.2, entry("f32", "ABCD"), "43663333"),  # Eastron SDM630 protocol, example of 1.1: 230.2 V
        (1.0, entry("f32", "ABCD"), "3f800000"),
        (1.0, entry("f32", "CDAB"), "00003f80"),
        (1.0, entry("f32", "BADC"), "803f0000"),
        (1.0, entry("f32", "DCBA"), "0000803f"),
        (-2.0, entry("f64", "ABCDEFGH"), "c000000000000000"),
        (230.4, entry("i32", "CDAB", scale=0.1), "09000000"),  # Carlo Gavazzi: 2304 tenths, low word first
        (-1.5, entry("i32", "CDAB", scale=0.1), "fff1ffff"),
        (-1, entry("i16", "AB"), "ffff"),
        (0x1234, entry("u16", "BA"), "3412"),
        (0x0102030405, entry("u64", "GHEFCDAB"), "0405020300010000"),
        (12345.67, entry("u64", "ABCDEFGH", scale=0.01), "000000000012d687"),
        (-700.25, entry("i32", "ABCD", scale=0.01), "fffeee77"),
    ],
)
def test_a_value_becomes_the_words_of_the_manual(value: float, what: Entry, expected: str) -> None:
    """Type, scale and the picture of the byte order give the words that the manual shows."""
    assert wire(value, what) == expected


def test_the_reader_multiplies_by_the_factor() -> None:
    """What the reader multiplies by is divided out before: 4000 W at a ratio of 40 reads as 100."""
    assert wire(4000.0, entry("u16", "AB"), factor=40.0) == "0064"


@pytest.mark.parametrize(
    ("value", "what", "expected"),
    [
        (math.nan, entry("i32", "CDAB", absent=(0x7FFFFFFF,)), "ffff7fff"),
        (1e12, entry("i32", "CDAB", absent=(0x7FFFFFFF,)), "ffff7fff"),
        (math.nan, entry("f32", "ABCD", absent=(0xFFC00000,)), "ffc00000"),
        (math.nan, entry("u16", "AB", absent=(0xFFFF,)), "ffff"),
        (1e12, entry("i16", "AB"), "7fff"),
        (-1e12, entry("i16", "AB"), "8000"),
        (-5.0, entry("u16", "AB"), "0000"),
    ],
)
def test_what_is_not_there_or_does_not_fit_is_marked(value: float, what: Entry, expected: str) -> None:
    """The pattern for "not available" stands for NaN and overflow; without one a register stops at its limit."""
    assert wire(value, what) == expected


@pytest.mark.parametrize(("value", "expected"), [(65535, "ffff"), (65536, "0000"), (65539, "0003")])
def test_an_energy_counter_rolls_over(value: float, expected: str) -> None:
    """A counter starts again at zero when its register is full."""
    assert wire(value, entry("u16", "AB", name="active_energy_import_wh")) == expected


def refusal(map_: RegisterMap, *request: int) -> int:
    """Give the exception code of a request that must be refused."""
    with pytest.raises(LookupError) as error:
        map_.locate(*request)
    return int(error.value.args[0])


@pytest.fixture
def picky() -> RegisterMap:
    """Give the map of a meter with every limit there is."""
    entries = [
        Entry(name=n, function=4, address=a, dtype="f32", order="ABCD") for n, a in (("a", 0), ("b", 6), ("c", 12))
    ]
    lone = Entry(name="code", function=3, address=2, dtype="u16", order="AB")
    profile = Profile(
        name="p",
        phases=1,
        entries=(*entries, lone),
        max_registers=8,
        max_gap=4,
        even_blocks=True,
        single=("code",),
        forbidden=((10, 11),),
    )
    return RegisterMap(profile)


def test_a_request_within_the_map_is_answered(picky: RegisterMap) -> None:
    """A gap of at most max_gap is read across, and the part of a block begins where it should."""
    assert picky.locate(4, 0, 8) == (0, 0)
    assert picky.locate(4, 6, 2) == (0, 12)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ((6, 0, 2), 1),  # writing
        ((4, 0, 0), 3),
        ((4, 0, 10), 3),  # above max_registers
        ((4, 1, 2), 2),  # odd start
        ((4, 0, 3), 2),  # odd count
        ((4, 14, 2), 2),  # beyond the last entry
        ((4, 8, 6), 2),  # touches a forbidden address
        ((3, 0, 2), 2),  # another function
        ((3, 2, 4), 2),  # code wants a request of its own
    ],
)
def test_a_request_beyond_the_limits_is_refused(picky: RegisterMap, request_: tuple[int, ...], code: int) -> None:
    """The exception code tells a wrong function, a wrong address and a wrong count apart."""
    assert refusal(picky, *request_) == code


def test_where_no_source_speaks_of_gaps_zeros_are_read_across_them() -> None:
    """Without max_gap one request may span what is not listed, as far as a request reaches."""
    entries = tuple(
        Entry(name=n, function=4, address=a, dtype="u16", order="AB") for n, a in (("a", 0), ("b", 124), ("c", 300))
    )
    map_ = RegisterMap(Profile(name="p", phases=1, entries=entries))
    ones = dict.fromkeys("abc", np.ones(1))

    span, first = map_.locate(4, 0, 125)
    row = map_.rows(ones, dict.fromkeys("abc", 1.0))[span][0]

    assert bytes(row[first:]) == b"\0\1" + b"\0\0" * 123 + b"\0\1"
    assert refusal(map_, 4, 200, 101) == 2


def test_a_single_register_may_lie_on_top_of_others() -> None:
    """Carlo Gavazzi answers 0x000B alone with the model code, and in a block with a word of a voltage."""
    map_ = RegisterMap(read_profile(METERS / "carlo_gavazzi_em340.toml"))
    alone, block = map_.locate(4, 0x000B, 1), map_.locate(4, 0x000A, 2)

    assert alone[0] != block[0]
    assert refusal(map_, 4, 0x0032, 1) == 2  # nothing is listed there


@pytest.mark.parametrize("file", sorted(METERS.glob("*.toml")), ids=lambda file: file.stem)
def test_every_shipped_profile_offers_all_its_registers(file: Path) -> None:
    """Each listed register can be asked for on its own, within the meter's limits."""
    profile = read_profile(file)
    map_ = RegisterMap(profile)
    even = 2 if profile.even_blocks else 1

    for what in (*profile.entries, *profile.parameters):
        map_.locate(what.function, what.address // even * even, -(-what.count // even) * even)
