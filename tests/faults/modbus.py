"""Faults between the agent and its meters. Meters that answer wrongly are the simulator's own faults."""

import time
from itertools import pairwise
from typing import Any

from agent.acquire.poll.status_file import STATUS_FILE, ask_for_status, read_status
from tests.faults.bed import HOUR_S, START_S, Bed, Story
from tests.faults.case import fault
from tests.faults.process import ROOT

RTU = "rtu+tcp://127.0.0.1:0"


def counts(bed: Bed) -> dict[str, Any]:
    """Have the agent write what it counts of meters and buses."""
    path = bed.state / STATUS_FILE
    before = path.stat().st_mtime_ns if path.exists() else 0
    ask_for_status(path)
    bed.wait_for(lambda: path.exists() and path.stat().st_mtime_ns != before, "the status", 20, agent_runs=True)
    return read_status(path)


def failures(bed: Bed, hours: float) -> dict[str, dict[str, int]]:
    """Give the failed requests by meter and reason after so many hours."""
    bed.wait_hours(hours)
    return {name: meter["failures"] for name, meter in counts(bed)["meters"].items()}


def letters(bed: Bed, meter: str, from_h: float, until_h: float) -> set[str]:
    """Give the qualities of a meter's windows that lie within some hours."""
    low, high = START_S + from_h * HOUR_S, START_S + until_h * HOUR_S
    return {letter for start_s, letter in bed.letters(meter) if low <= start_s and start_s + 900 <= high}


def no_traceback(bed: Bed) -> None:
    """Nothing escaped as a traceback."""
    assert "Traceback" not in bed.agent.log.read_text(errors="replace"), bed.agent.tail(30)


@fault("M1", "meter silent")
def meter_silent(bed: Bed) -> str:
    """One of four meters is silent for 12 s: noticed in 3 polls, the others keep their period, back in 2 polls."""
    bed.open(Story(real=True, meters=4, period_s=1.0, window_s=10, bus_keys="timeout_s = 0.5"))
    bed.start_agent()
    bed.wait_for(lambda: bed.count("SELECT count(*) FROM summary") >= 4, "the first window", 40, agent_runs=True)
    bed.fault("m1", "silence")
    time.sleep(3.2)
    seen = counts(bed)
    assert seen["meters"]["m1"]["silent_polls"] >= 1, seen["meters"]["m1"]
    time.sleep(9)
    before = counts(bed)["meters"]["m1"]
    bed.fault("m1", "clear")
    bed.wait_for(lambda: counts(bed)["meters"]["m1"]["silent_polls"] == 0, "m1 to be back", 30, agent_runs=True)
    after = counts(bed)
    asked = sum(after["meters"]["m1"]["failures"].values()) - sum(before["failures"].values())
    assert asked <= 2, f"{asked} requests failed after the meter was back"
    assert after["buses"]["hall"]["period_p95_s"] < 2.0, after["buses"]
    time.sleep(10)
    bed.finish()
    told = {letter for _, letter in bed.letters("m1")}
    assert "T" in told, told
    assert {letter for name in ("m2", "m3", "m4") for _, letter in bed.letters(name)} <= {"G", "P"}
    bed.check(allowed={"invented", "energy_off"})  # ticks and the simulator's steps of a second are not in phase
    return f"others: p95 of the period {after['buses']['hall']['period_p95_s']:.2f} s; {asked} polls failed after it"


@fault("M2", "RTU CRC error 5 %")
def rtu_crc(bed: Bed) -> str:
    """One bit in 5 % of the RTU answers is wrong for 6 h: no bad value is accepted, retries stay bounded."""
    faults = {"hall": 'kind = "bad_crc"\nshare = 0.05'}
    bed.open(Story(bus=RTU, faults=faults, hours=6))
    bed.start_agent()
    found = failures(bed, 5.0)
    bed.finish()
    bed.check()
    garbage = sum(meter.get("garbage", 0) for meter in found.values())
    polls = sum(meter["polls"] for meter in counts_at_end(bed).values())
    assert 0 < garbage < 0.2 * polls, found
    return f"{garbage} answers refused in {polls} polls, all values true"


def counts_at_end(bed: Bed) -> dict[str, Any]:
    """Give what the agent wrote last of its meters."""
    return dict(read_status(bed.state / STATUS_FILE)["meters"])


@fault("M3", "late RTU reply answered to next request")
def late_reply(bed: Bed) -> str:
    """A fifth of the RTU answers come after the time-out, into the next request: 0 wrong values, the line drained."""
    faults = {"m1": 'kind = "delay"\ndelay_s = 0.35\nrandom_s = 0.3\nshare = 0.2\nfrom = "1h"'}
    bed.open(Story(bus=RTU, faults=faults, hours=4, speed=20_000, period_s=180))
    bed.start_agent()
    found = failures(bed, 3.0)
    bed.finish()
    bed.check()
    late = found["m1"].get("timeout", 0)
    assert late >= 3, found
    return f"{late} answers came too late, none was taken for another"


@fault("M4", "TCP wrong transaction / unit id")
def wrong_ids(bed: Bed) -> str:
    """One meter answers with another transaction id, one with another unit: discarded and counted."""
    faults = {
        "m1": 'kind = "wrong_transaction"\nid = 0\nshare = 0.1',
        "m2": 'kind = "wrong_unit"\nunit = 9\nshare = 0.1',
    }
    bed.open(Story(faults=faults, hours=3))
    bed.start_agent()
    found = failures(bed, 2.5)
    bed.finish()
    bed.check()
    seen = (found["m1"].get("wrong_transaction", 0), found["m2"].get("wrong_unit", 0))
    assert min(seen) > 0, found
    assert not found["m3"], found
    return f"{seen[0]} wrong transactions and {seen[1]} wrong units discarded"


@fault("M5", "short/long MBAP length, split and glued frames")
def split_frames(bed: Bed) -> str:
    """Byte counts lie, frames come glued, cut short and in crumbs of 1 to 8 bytes: resynchronised, no exception."""
    faults = {
        "m1": 'kind = "lying_count"\nby = 2\nshare = 0.1',
        "m2": 'kind = "glued"\nshare = 0.1',
        "m3": 'kind = "lying_count"\nby = -3\nshare = 0.1---kind = "partial"\nbytes = 7\nshare = 0.05',
    }
    bed.open(Story(meters=4, faults=faults, hours=6, period_s=180, bus_keys="timeout_s = 0.2"), through=("field",))
    bed.field.crumbs = True
    bed.start_agent()
    found = failures(bed, 5.0)
    bed.finish()
    bed.check()
    no_traceback(bed)
    assert not found["m4"], found
    assert found["m1"], found
    return f"refused: m1 {found['m1']}, m2 {found['m2']}, m3 {found['m3']}; the meter beside them answered always"


@fault("M6", "exception codes 1-4, 6, 10, 11")
def exception_codes(bed: Bed) -> str:
    """Seven meters answer with one exception code each for three hours: mapped to a status, no value, back off."""
    codes = (1, 2, 3, 4, 6, 10, 11)
    table = 'kind = "exception"\ncode = {}\nfrom = "3h"\nuntil = "6h"'
    faults = {f"m{n}": table.format(code) for n, code in enumerate(codes, 1)}
    bed.open(Story(meters=8, faults=faults, hours=9))
    bed.start_agent()
    found = failures(bed, 7.0)
    bed.finish()
    bed.check()
    for n, code in enumerate(codes, 1):
        assert letters(bed, f"m{n}", 3.5, 5.75) <= {"T", "F"}, (code, letters(bed, f"m{n}", 3.5, 5.75))
        assert letters(bed, f"m{n}", 7.5, 9.0) == {"G"}, (code, letters(bed, f"m{n}", 7.5, 9.0))
    assert letters(bed, "m8", 0, 9) == {"G"}
    refused = {code: sum(found[f"m{n}"].values()) for n, code in enumerate(codes, 1)}
    return f"requests that failed in 180 polls, by code: {refused}"


@fault("M7", "two frames noise/echo on RS-485")
def noise(bed: Bed) -> str:
    """Stray bytes around half of the frames, glued second frames and over-long ones on a serial line: none accepted."""
    faults = {
        "m1": 'kind = "noise"\nshare = 0.5\nbytes = 5',
        "m2": 'kind = "glued"\nshare = 0.5',
        "m3": 'kind = "over_long"\nbytes = 9\nshare = 0.5',
    }
    bed.open(Story(bus=f"rtu://{bed.folder}/ttyUSB0?baud=115200", faults=faults, hours=4, period_s=180, meters=4))
    bed.start_agent()
    found = failures(bed, 3.0)
    bed.finish()
    bed.check()
    no_traceback(bed)
    return f"refused: m1 {found['m1']}, m2 {found['m2']}, m3 {found['m3']}; all values true"


@fault("M8", "TCP half-open (no RST)")
def half_open(bed: Bed) -> str:
    """The line to the meters swallows everything without a reset for 10 s: seen in 2 time-outs, reconnected after."""
    bed.open(Story(real=True, period_s=1.0, window_s=10, bus_keys="timeout_s = 0.5"), through=("field",))
    bed.start_agent()
    bed.wait_for(lambda: bed.count("SELECT count(*) FROM summary") >= 3, "the first window", 40, agent_runs=True)
    bed.field.hole()
    began_s = time.monotonic()
    silent = lambda: any(meter["silent_polls"] for meter in counts(bed)["meters"].values())  # noqa: E731
    bed.wait_for(silent, "the silence to be noticed", 10, agent_runs=True)
    seen_s = time.monotonic() - began_s
    time.sleep(10)
    bed.field.mend()
    bed.field.drop()
    back = lambda: not any(meter["silent_polls"] for meter in counts(bed)["meters"].values())  # noqa: E731
    back_s = bed.wait_for(back, "the meters to be back", 30, agent_runs=True)
    time.sleep(11)
    bed.finish()
    assert seen_s < 1.0 + 2 * 0.5 + 1.5, f"{seen_s:.1f} s"  # the next poll, two time-outs, and a look at the status
    bed.check(allowed={"invented", "energy_off"})
    return f"noticed after {seen_s:.1f} s (a poll a second, time-out 0.5 s), all back after {back_s:.1f} s"


@fault("M9", "USB-serial unplug/replug, renamed ttyUSB1")
def replugged(bed: Bed) -> str:
    """The serial adapter goes and comes back as another terminal under the same by-id name: read again within 10 s."""
    bed.open(Story(real=True, period_s=1.0, window_s=10, bus=f"rtu://{bed.folder}/usb-adapter?baud=115200", meters=1))
    bed.start_agent()
    bed.wait_for(lambda: bed.count("SELECT count(*) FROM summary") >= 1, "the first window", 40, agent_runs=True)
    link = bed.folder / "usb-adapter"
    old = link.resolve()
    bed.sim.kill()
    link.unlink(missing_ok=True)
    lost = lambda: counts(bed)["meters"]["m1"]["failures"].get("disconnected")  # noqa: E731
    bed.wait_for(lost, "the loss to be noticed", 20, agent_runs=True)
    other = bed.other_terminal()  # takes the name that was free, so the adapter gets another
    bed.sim.start()
    bed.sim.says('"buses"', times=2)
    began_s = time.monotonic()
    failed = -1
    while (now := counts(bed)["meters"]["m1"]["failures"]["disconnected"]) != failed:
        assert time.monotonic() - began_s < 30, "not read again within 30 s"
        failed = now
        time.sleep(1.2)  # longer than a period: one poll without a failure
    back_s = time.monotonic() - began_s
    new = link.resolve()
    other.close()
    time.sleep(11)
    bed.finish()
    assert new != old, "the terminal has the same name: nothing was tried"
    assert back_s < 10, f"{back_s:.1f} s"
    bed.check(allowed={"invented", "energy_off"})
    return f"{old} became {new}; read again {back_s:.1f} s after it was there"


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


@fault("M17", "32 meters, one bus at 9600 with 2 s slow slave")
def slow_slave(bed: Bed) -> str:
    """32 meters at 9600 baud, one takes 2 s: the others keep their period of 10 s, what is missed is counted."""
    story = Story(
        real=True, meters=32, period_s=10.0, window_s=30, profile="eastron_sdm120",
        bus=f"rtu://{bed.folder}/ttyUSB0?baud=9600", faults={"m5": 'kind = "delay"\ndelay_s = 2'},
    )  # fmt: skip
    bed.open(story)
    bed.start_agent()
    time.sleep(75)
    seen = counts(bed)
    bed.finish(60)
    others = [meter for name, meter in seen["meters"].items() if name != "m5"]
    missed = sum(meter["missed"] for meter in others)
    p95_s = seen["buses"]["hall"]["period_p95_s"]
    assert p95_s <= 11.0, p95_s
    assert not any(meter["silent_polls"] for meter in others), seen
    bed.check(allowed={"invented", "energy_off"})
    slow = seen["meters"]["m5"]["failures"]
    return f"others: p95 of the period {p95_s:.1f} s, {missed} ticks missed; the slow one: {slow}"


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
