"""Faults of what meters say: frozen, begun anew, exchanged, scaled, and registers that hold no number."""

from itertools import pairwise

from tests.faults.bed import HOUR_S, Bed
from tests.faults.case import fault
from tests.faults.modbus import letters
from tests.faults.process import ROOT
from tests.faults.story import START_S, Story


@fault("M10", "stuck registers")
def stuck(bed: Bed) -> str:
    """The registers of one meter freeze for two days: stale in the first whole window, no flat or mining alarm."""
    faults = {"m1": 'kind = "stuck"\nfrom = "24h"\nuntil = "72h"'}
    bed.open(Story(faults=faults, hours=96, speed=40_000))
    bed.start_agent()
    bed.finish(300)
    bed.check()
    assert letters(bed, "m1", 24, 72) == {"K"}, letters(bed, "m1", 24, 72)
    assert letters(bed, "m1", 2, 24) == {"G"}
    raised = [one for one in bed.events("quality", "m1") if one["check"] == "stuck" and one["state"] == "raised"]
    assert len(raised) == 1, raised
    assert raised[0]["time_s"] <= START_S + 24 * HOUR_S + 900
    return "letter K from the first window to the last, one event, no alarm, 0 kWh mined"


@fault("M11", "energy rollover")
def rollover(bed: Bed) -> str:
    """A register of one meter reaches its end and begins at zero: no tamper, each day's kWh go on by the power."""
    faults = {"m1": 'kind = "roll_over"\nafter_wh = 100_000'}
    bed.open(Story(faults=faults, hours=24, speed=20_000))
    bed.start_agent()
    bed.finish()
    bed.check(allowed={"energy_off"})
    reads = bed.query("SELECT active_energy_import_wh FROM summary WHERE meter = 'm1' ORDER BY start_s")
    falls = sum(1 for before, after in pairwise(reads) if after[0] < before[0])
    assert falls == 1, f"the register fell {falls} times"
    assert not bed.events("tamper"), bed.events("tamper")
    return "the register began anew once, nothing was called tampering, the day has its energy"


@fault("M12", "energy reset to 0")
def energy_reset(bed: Bed) -> str:
    """Somebody sets the energy register of one meter to zero: one tamper event, kWh not negative."""
    faults = {"m1": 'kind = "reset"\nfrom = "12h5m"'}
    bed.open(Story(faults=faults, hours=24, speed=20_000))
    bed.start_agent()
    bed.finish()
    bed.check()
    told = bed.events("tamper", "m1")
    assert len(told) == 1, told
    assert told[0]["time_s"] <= START_S + 12.5 * HOUR_S, told
    assert bed.count("SELECT count(*) FROM meter_day WHERE load_wh < 0 OR mining_wh < 0") == 0
    return f"told {told[0]['time_s'] - START_S - 12 * HOUR_S - 300:.0f} s after it: from {told[0]['before_wh']:.0f} Wh"


@fault("M13", "meter swapped (serial)")
def swapped(bed: Bed) -> str:
    """Another meter with another serial number answers: status X, one exchange event, counted on from its register."""
    faults = {"m1": 'kind = "serial_change"\nserial = 777\nfrom = "6h10m"'}
    bed.open(Story(faults=faults, profiles={"m1": "eastron_sdm120"}, hours=9, speed=20_000))
    bed.start_agent()
    bed.finish()
    bed.check()
    told = bed.events("exchange", "m1")
    assert len(told) == 1, told
    assert [letter for _, letter in bed.letters("m1")].count("X") == 1
    return f"one event and one window X, {told[0]['time_s'] - START_S - 6 * HOUR_S - 600:.0f} s after the exchange"


@fault("M14", "CT ratio 100 -> 50 written")
def ratio_written(bed: Bed) -> str:
    """The current transformer ratio of a meter is halved: a configuration event with the next reading of settings."""
    faults = {"m1": 'kind = "ct_change"\nfactor = 0.5\nfrom = "6h10m"'}
    bed.open(Story(faults=faults, profiles={"m1": "chint_dtsu666"}, keys={"m1": "ct_ratio = 100.0"}, hours=12))
    bed.start_agent()
    bed.finish()
    bed.check(distrusted=[("m1", START_S + 6 * HOUR_S, bed.until_s)])
    told = bed.events("configuration", "m1")
    assert len(told) == 1, told
    late_s = told[0]["time_s"] - START_S - 6 * HOUR_S - 600
    assert late_s <= HOUR_S + 900, late_s
    return f"{told[0]['text'][:90]}…, {late_s:.0f} s after it (settings are read hourly)"


@fault("M15", "word-order/endian wrong map")
def wrong_words(bed: Bed) -> str:
    """A profile reads the words of a meter in the wrong order: the check-up refuses it, `run` mines nothing by it."""
    source = (ROOT / "configs" / "meters" / "eastron_sdm630.toml").read_text()
    wrong = source.replace('order = "ABCD"', 'order = "CDAB"')
    assert wrong != source, "the profile names no order of words"
    bed.open(Story(profiles={"m1": "eastron_sdm630"}, hours=3))
    (bed.folder / "wrong.toml").write_text(wrong)
    text = bed.config.read_text().replace('profile = "eastron_sdm630"', f'profile = "{bed.folder}/wrong.toml"')
    bed.config.write_text(text)
    said = bed.flatwatt("doctor", "-c", str(bed.config), "--json")
    assert said.returncode == 1, said.stderr
    assert "word" in said.stdout, said.stdout[:500]
    bed.start_agent()
    bed.finish()
    bed.check(distrusted=[("m1", 0, bed.until_s)])
    seen = letters(bed, "m1", 1, 3)
    assert seen != {"G"}, seen
    return f"`doctor` ends with 1 and names the order of words; `run` gave its windows {sorted(seen)}"


@fault("M16", "NaN/Inf/0x7FC0, 0xFFFF sentinels")
def sentinels(bed: Bed) -> str:
    """Registers hold NaN, infinity and the models' own signs for no value: flagged, every number that leaves finite."""
    faults = {
        "m1": 'kind = "value"\nquantities = ["active_power_w"]\nvalue = inf\nfrom = "1h"',
        "m2": 'kind = "not_available"\nquantities = ["active_power_w"]\nfrom = "1h"',
        "m3": 'kind = "not_available"\nquantities = ["active_power_w"]\nfrom = "1h"',
    }
    profiles = {"m1": "eastron_sdm120", "m2": "abb_b23", "m3": "eastron_sdm120"}
    bed.open(Story(faults=faults, profiles=profiles, hours=4))
    bed.start_agent()
    bed.finish()
    bed.check()
    seen = {name: letters(bed, name, 1, 4) for name in ("m1", "m2", "m3")}
    assert all("G" not in found for found in seen.values()), seen
    texts = bed.query("SELECT CAST(payload AS TEXT) FROM record")
    assert not any(word in text for (text,) in texts for word in ("NaN", "Infinity", "1e999"))
    return f"letters {seen}"


@fault("M18", "gateway caches values 60 s")
def cached(bed: Bed) -> str:
    """A gateway serves values of one meter that are up to 60 s old: found as frozen, nothing judged by them."""
    faults = {"m1": 'kind = "cached"\nrefresh_s = 60\nfrom = "1h"'}
    bed.open(Story(faults=faults, hours=4, period_s=5.0, speed=20_000))
    bed.start_agent()
    bed.finish(200)
    bed.check(distrusted=[("m1", START_S + HOUR_S, bed.until_s)])
    seen = letters(bed, "m1", 1.25, 4)
    assert seen == {"K"}, seen
    return "every window has the letter K"
