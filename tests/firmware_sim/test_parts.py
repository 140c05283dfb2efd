"""Sums of registers: what each part shows, so that a reader's sum is the whole."""

import numpy as np
import pytest

from firmware_sim.parts import split
from firmware_sim.profile import Entry, Profile


def entry(name: str, dtype: str = "u32", **more: object) -> Entry:
    """Make an entry."""
    order = "ABCDEFGH"[: int(dtype[1:]) // 8]
    return Entry(name=name, function=3, address=0, dtype=dtype, order=order, **more)  # type: ignore[arg-type]


def parts(whole: float, *entries: Entry, **others: float) -> dict[str, float]:
    """Split the value of the first entry over the rest, which are parameters."""
    profile = Profile(name="p", phases=3, entries=entries[:1], parameters=entries[1:])
    values = {name: np.array([value]) for name, value in (others | {entries[0].name: whole}).items()}
    shown = split(profile, values, {entry.name: 1.0 for entry in entries})
    return {name: float(value[0]) for name, value in shown.items()}


def test_tariffs_share_the_energy() -> None:
    """The first tariff has 60 % to its resolution, the second the rest."""
    first = entry("active_energy_import_wh", scale=10, plus=("t2",))

    assert parts(1234.0, first, entry("t2", scale=10)) == {"active_energy_import_wh": 740.0, "t2": 494.0}


def test_what_the_coarse_register_cannot_say_is_left_to_the_fine_one() -> None:
    """Whole kilowatt-hours in one register, the watt-hours above them in the other."""
    coarse = entry("active_energy_import_wh", scale=1000, plus=("rest",))

    assert parts(12_345.0, coarse, entry("rest", "u16")) == {"active_energy_import_wh": 12_000.0, "rest": 345.0}


def test_the_fine_register_may_be_the_sum_s_own() -> None:
    """Decimal words: the own register counts to 9999, the other the ten thousands."""
    fine = entry("active_energy_import_wh", "u16", plus=("high",))

    assert parts(123_456.0, fine, entry("high", "u16", scale=10_000)) == {
        "active_energy_import_wh": 3_456.0,
        "high": 120_000.0,
    }


@pytest.mark.parametrize(("power_w", "own_w", "export_w"), [(700.0, 700.0, 0.0), (-700.0, 0.0, 700.0)])
def test_the_sign_decides_between_import_and_export(power_w: float, own_w: float, export_w: float) -> None:
    """A meter with one register for each direction shows zero in the other."""
    imported = entry("active_power_w", minus=("export_w",))

    assert parts(power_w, imported, entry("export_w")) == {"active_power_w": own_w, "export_w": export_w}


def test_a_part_that_is_a_quantity_keeps_its_own_value() -> None:
    """Total less export: the register of the sum holds both."""
    profile = Profile(
        name="p",
        phases=3,
        entries=(
            entry("active_energy_import_wh", minus=("active_energy_export_wh",)),
            entry("active_energy_export_wh"),
        ),
    )
    values = {"active_energy_import_wh": np.array([500.0]), "active_energy_export_wh": np.array([200.0])}

    shown = split(profile, values, dict.fromkeys(values, 1.0))

    assert shown["active_energy_import_wh"][0] == 700.0
    assert shown["active_energy_export_wh"][0] == 200.0


def test_a_gap_makes_every_part_unknown() -> None:
    """What is not measured is in no part of a sum."""
    shown = parts(np.nan, entry("active_power_w", "i32", plus=("b",), minus=("c",)), entry("b"), entry("c"))

    assert all(np.isnan(value) for value in shown.values())
