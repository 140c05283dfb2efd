"""Faults between the agent and its meters. Meters that answer wrongly are the simulator's own faults."""

import time
from typing import Any

from agent.acquire.poll.status_file import STATUS_FILE, ask_for_status, read_status
from tests.faults.bed import HOUR_S, Bed
from tests.faults.case import fault
from tests.faults.story import START_S, Story

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
