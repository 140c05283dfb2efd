"""Faults of wiring, settings and registers: what the meter says while its load stays what it is."""

import math
import struct
from collections.abc import Callable

import pytest

from firmware_sim.device import Device
from firmware_sim.faults import KINDS
from firmware_sim.faults.base import AddressFault, LineFault, ReplyFault
from firmware_sim.site import Site
from firmware_sim.testing import StillClock

START_S = 1_767_571_200.0
HOUR_S = 3600.0
POWER_W = 9000.0
LOAD = f'[[meter.load]]\nkind = "constant"\npower_w = {POWER_W}\npf = 1.0\n'

Make = Callable[..., tuple[Site, StillClock]]


@pytest.fixture
def made(scenario: Callable[..., object]) -> Make:
    """Give a function that makes a meter with faults, one hour after the start; nothing listens."""

    def make(faults: str = "", profile: str = "eastron_sdm630", more: str = "") -> tuple[Site, StillClock]:
        clock = StillClock(START_S + HOUR_S)
        return Site(scenario(more + LOAD + faults, profile=profile), clock), clock  # type: ignore[arg-type]

    return make


def fault(kind: str, **keys: object) -> str:
    """Write a fault."""
    values = (
        f"{key} = {str(value).lower() if isinstance(value, float) else repr(value)}" for key, value in keys.items()
    )
    return f'[[meter.fault]]\nkind = "{kind}"\n' + "".join(f"{value}\n" for value in values).replace("'", '"')


def test_a_reversed_transformer_counts_backwards(made: Make) -> None:
    """One phase of three turns negative, and the counter runs at a third of its speed."""
    values = made(fault("wiring", reversed=["l2"]))[0].values("m1")

    assert values["active_power_l2_w"] == pytest.approx(-POWER_W / 3, rel=0.05)
    assert values["active_power_w"] == pytest.approx(POWER_W / 3, rel=0.1)
    assert values["active_energy_import_wh"] == pytest.approx(POWER_W / 3, rel=0.1)
    assert values["current_l2_a"] > 0


def test_two_swapped_transformers_cancel_a_balanced_load(made: Make) -> None:
    """Each of the two sees its current a third of a turn away: cos 120° twice takes off what is left."""
    values = made(fault("wiring", cts=["l2", "l1", "l3"]))[0].values("m1")

    assert values["active_power_l1_w"] == pytest.approx(-POWER_W / 6, rel=0.05)
    assert values["active_power_l3_w"] == pytest.approx(POWER_W / 3, rel=0.05)
    assert values["active_power_w"] == pytest.approx(0, abs=0.05 * POWER_W)


def test_transformers_one_phase_on_show_half_of_it_backwards(made: Make) -> None:
    """Three times cos 120°."""
    values = made(fault("wiring", cts=["l2", "l3", "l1"]))[0].values("m1")

    assert values["active_power_w"] == pytest.approx(-POWER_W / 2, rel=0.05)
    assert values["active_energy_export_wh"] == pytest.approx(POWER_W / 2, rel=0.05)


def test_who_swaps_leads_and_transformers_alike_measures_right(made: Make) -> None:
    """Only the names of the phases are wrong."""
    order = ["l3", "l1", "l2"]
    right, wrong = made()[0].values("m1"), made(fault("wiring", cts=order, leads=order))[0].values("m1")

    assert wrong["active_power_w"] == pytest.approx(right["active_power_w"])
    assert wrong["voltage_l1_v"] == pytest.approx(right["voltage_l3_v"])


def test_another_ratio_multiplies_what_the_meter_multiplies(made: Make) -> None:
    """Power, current and counting double, voltage does not; the ratio can be read."""
    change = fault("ct_change", factor=2.0, **{"from": "30m"})
    site, _ = made(change, "carlo_gavazzi_em21", "ct_ratio = 40\n")

    values = site.values("m1")

    assert values["active_power_w"] == pytest.approx(2 * POWER_W)
    assert values["ct_ratio"] == 80
    assert values["active_energy_import_wh"] == pytest.approx(1.5 * POWER_W, rel=0.01)
    assert values["voltage_l1_v"] == pytest.approx(230, rel=0.05)


def test_another_ratio_of_a_secondary_meter_multiplies_in_the_reader(made: Make) -> None:
    """The registers stay as they are; only the one that holds the ratio changes, and the reader multiplies by it."""
    site, clock = made(profile="chint_dtsu666", more="ct_ratio = 40\n")
    device = Device(site.plant, site.plant.feeders["m1"], clock)
    ratio, power = bytes.fromhex("03 0006 0001"), bytes.fromhex("03 2012 0002")
    before = device.answer(ratio), device.answer(power)

    site.start_fault("m1", "ct_change", {"factor": 2})
    after = device.answer(ratio), device.answer(power)

    assert (before[0][2:], after[0][2:]) == (b"\0\x28", b"\0\x50")
    assert after[1] == before[1]


def test_a_wrong_ratio_distorts_no_current(made: Make) -> None:
    """The distortion is a ratio of currents, which the transformers' ratio does not change, nor a reversed one."""
    right = made()[0].values("m1")["thd_current_l1_percent"]

    for wrong in (fault("ct_change", factor=2.0), fault("wiring", reversed=["l2"])):
        assert made(wrong)[0].values("m1")["thd_current_l1_percent"] == pytest.approx(right)


def test_a_counter_that_is_reset_twice_begins_twice_at_zero(made: Make) -> None:
    """The second time it counts from there, not from what the first has taken off."""
    site, _ = made(fault("reset", **{"from": "15m"}) + fault("reset", **{"from": "45m"}))

    assert site.values("m1")["active_energy_import_wh"] == pytest.approx(POWER_W / 4)


def test_a_reset_counter_begins_at_zero(made: Make) -> None:
    """What was counted before is gone; what comes counts on."""
    site, clock = made(fault("reset", **{"from": "30m"}))

    reset = site.values("m1")["active_energy_import_wh"]
    clock.time_s -= HOUR_S / 2 + 60

    assert reset == pytest.approx(POWER_W / 2)
    assert site.values("m1")["active_energy_import_wh"] == pytest.approx(POWER_W / 2, rel=0.05)


def test_a_counter_rolls_over_at_the_end_of_its_register(made: Make) -> None:
    """The 32 bits of a Carlo Gavazzi count tenths of a kilowatt-hour up to 2147483647, then begin at 0."""
    site, clock = made(fault("roll_over", after_wh=5000), "carlo_gavazzi_em340")
    device = Device(site.plant, site.plant.feeders["m1"], clock)

    def tenths() -> int:
        low, high = struct.unpack(">HH", device.answer(bytes.fromhex("04 0034 0002"))[2:])
        return int(high << 16 | low)

    after = tenths()
    clock.time_s -= HOUR_S / 2
    before = tenths()

    assert before == 2**31 - 5
    assert after == 40


def test_another_serial_number_shows_a_swap(made: Make) -> None:
    """From the moment on that another meter hangs there."""
    site, clock = made(fault("serial_change", serial=4711, **{"from": "30m"}), "abb_b23")

    swapped = site.values("m1")["serial_number"]
    clock.time_s -= HOUR_S

    assert swapped == 4711
    assert site.values("m1")["serial_number"] not in (4711, 0)


@pytest.mark.parametrize(
    ("profile", "request_", "expected"),
    [
        ("carlo_gavazzi_em340", "04 0028 0002", "ffff7fff"),  # the model's pattern, low word first
        ("eastron_sdm630", "04 0034 0002", "7fc00000"),  # a float without a pattern: NaN
    ],
)
def test_what_is_not_available_reads_as_its_sentinel(made: Make, profile: str, request_: str, expected: str) -> None:
    """The pattern of the model where it has one."""
    site, clock = made(fault("not_available", quantities=["active_power_w"]), profile)

    reply = Device(site.plant, site.plant.feeders["m1"], clock).answer(bytes.fromhex(request_))

    assert reply[2:].hex() == expected


def test_a_value_may_be_anything_a_float_can_be(made: Make) -> None:
    """Nonsense that a reader must notice."""
    power = fault("scaled", quantities=["active_power_w"], factor=1000.0)
    site, _ = made(fault("value", quantities=["frequency_hz"], value=math.inf) + power)

    assert site.values("m1")["frequency_hz"] == math.inf
    assert site.values("m1")["active_power_w"] == pytest.approx(1000 * POWER_W)


def test_a_gateway_s_memory_is_as_old_as_its_refresh(made: Make) -> None:
    """Within a refresh the registers stand still bit for bit; the next shows another moment."""
    site, clock = made(fault("cached", refresh_s=300))
    device = Device(site.plant, site.plant.feeders["m1"], clock)
    blocks = []

    for minute in (60, 62, 64, 65):
        clock.time_s = START_S + minute * 60
        blocks.append(device.answer(bytes.fromhex("04 0000 0024")))

    assert blocks[0] == blocks[1] == blocks[2] != blocks[3]


def test_what_wrong_wiring_has_counted_stays_counted(made: Make) -> None:
    """A fault on the fly begins and ends now; the counter keeps what it counted meanwhile, across blocks of time."""
    site, clock = made()
    site.start_fault("m1", "wiring", {"reversed": ["l1", "l2", "l3"]})
    clock.time_s += HOUR_S
    site.end_fault("m1")
    clock.time_s += 3000 * 60.0

    values = site.values("m1")

    assert values["active_energy_export_wh"] == pytest.approx(POWER_W)
    assert values["active_energy_import_wh"] == pytest.approx(POWER_W * 51)


def test_every_fault_of_meters_is_tried_here() -> None:
    """A new kind without a test fails; `stuck` is tried with the server, `readdressed` on the wire."""
    elsewhere = ReplyFault | LineFault | AddressFault
    tried = {"wiring", "ct_change", "reset", "roll_over", "serial_change", "not_available", "value", "scaled", "cached"}

    assert tried | {"stuck"} == {kind for kind, fault in KINDS.items() if not issubclass(fault, elsewhere)}
