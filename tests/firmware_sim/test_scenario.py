"""Scenario files: what they mean, and every mistake named with its place."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from firmware_sim.errors import SimError
from firmware_sim.scenario import SCENARIOS, find, read_scenario

BAD = """
[scenario]
name = "Bad"
start = 2026-01-05T00:00:00
steps = 60
site_kind = "ofice"

[[bus]]
name = "tcp"
url = "http://127.0.0.1"

[[bus]]
name = "serial"
url = "rtu://./x"

[[meter]]
id = "a"
bus = "seria"
unit = 300
profile = "eastron_sdm631"

[[meter.load]]
kind = "minerfarm"

[[meter]]
id = "a"
bus = "serial"
unit = 1
profile = "eastron_sdm630"
sum_of = ["b"]

[[meter.load]]
kind = "miner_farm"
machine = 3

[plant]
"""


def complaints(tmp_path: Path, text: str) -> list[str]:
    """Read a wrong scenario; give what it complains about, without the file's name."""
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(SimError) as error:
        read_scenario(file, 0.0)
    return [complaint.removeprefix(f"{file}: ") for complaint in error.value.complaints]


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    """One run shows all mistakes, each with its place, what was expected and what may have been meant."""
    found = "\n".join(complaints(tmp_path, BAD))

    for part in (
        "plant: unknown key",
        "scenario.start: datetime.datetime(2026, 1, 5, 0, 0): expected a time with its zone",
        "scenario.steps: unknown key; did you mean 'step_s'?",
        "scenario.site_kind: 'ofice': expected one of office, campus",
        "did you mean 'office'?",
        "bus tcp.url: 'http://127.0.0.1': expected tcp://HOST:PORT",
        "meter a.unit: 300: expected a whole number from 1 to 247",
        "meter a, load 1.kind: 'minerfarm': expected one of office",
        "did you mean 'miner_farm'?",
        "meter a.profile: 'eastron_sdm631': no such profile",
        "meter a, load 1.machine: unknown key; did you mean 'machines'?",
        "meter a, load 1.machines: missing",
    ):
        assert part in found


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('sum_of = ["m1"]', 'sum_of = ["m2"]'), "meter m2.sum_of: the meter contains itself"),
        (('sum_of = ["m1"]', 'sum_of = ["m3"]'), "meter m2.sum_of: there is no meter 'm3'"),
        (('sum_of = ["m1"]', ""), "meter m2: has no [[meter.load]] and no sum_of"),
        (("unit = 2", "unit = 1"), "bus tcp: unit 1 is used by two meters"),
        (('id = "m2"', 'id = "m1"'), "meter m1: the id is used twice"),
        (('bus = "tcp"', 'bus = "tpc"'), "meter m1.bus: there is no bus 'tpc'; did you mean 'tcp'?"),
        (("power_w = 1", 'power_w = 1\nstarts = "2d"\nends = "1d"'), "meter m1, load 1.ends: is not after starts"),
        (('kind = "constant"', "kind = []"), "meter m1, load 1.kind: []: expected one of office, lighting"),
        (
            ("power_w = 1", 'power_w = 1\n[[meter.fault]]\nkind = "silent"'),
            "meter m1, fault 1.kind: 'silent': expected one",
        ),
        (("power_w = 1", 'power_w = 1\n[[meter.fault]]\nkind = "delay"'), "meter m1, fault 1.delay_s: missing"),
        (
            ("power_w = 1", 'power_w = 1\n[[meter.fault]]\nkind = "silence"\nuntil = "0s"'),
            "meter m1, fault 1.until: is not after from",
        ),
        (
            ("power_w = 1", 'power_w = 1\n[[meter.fault]]\nkind = "wiring"\ncts = ["l1"]'),
            "meter m1, fault 1.cts: ['l1']: expected a list of three phases",
        ),
        ((':0"', ':0"\n[[bus.fault]]\nkind = "noise"\nshare = 2'), "bus tcp, fault 1.share: 2: expected a number"),
        ((':0"', ':0"\npaced = 1'), "bus tcp.paced: 1: expected true or false"),
        (("unit = 1", "unit = 1\nsunspec_base = 4"), "meter m1.sunspec_base: 4: expected one of 40000, 50000, 0"),
        (("power_w = 1", 'power_w = 1\nstarts = "soon"'), "meter m1, load 1.starts: 'soon': expected a time"),
    ],
)
def test_what_contradicts_is_named(tmp_path: Path, change: tuple[str, str], complaint: str) -> None:
    """Entries that are right alone and wrong together are found as well."""
    good = (
        '[scenario]\nname = "x"\n[[bus]]\nname = "tcp"\nurl = "tcp://127.0.0.1:0"\n'
        '[[meter]]\nid = "m1"\nbus = "tcp"\nunit = 1\nprofile = "abb_b23"\n'
        '[[meter.load]]\nkind = "constant"\npower_w = 1\n'
        '[[meter]]\nid = "m2"\nbus = "tcp"\nunit = 2\nprofile = "abb_b23"\nsum_of = ["m1"]\n'
    )
    assert any(found.startswith(complaint) for found in complaints(tmp_path, good.replace(*change)))


@pytest.mark.parametrize("text", ["scenario = 3", "bus = 1\nmeter = [1]", "[[scenario]]", "not toml", "\udcff"])
def test_garbage_is_a_complaint_and_no_crash(tmp_path: Path, text: str) -> None:
    """Whatever the file holds, the answer is a located complaint."""
    file = tmp_path / "bad.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(SimError, match=r"bad\.toml: "):
        read_scenario(file, 0.0)


def test_a_missing_file_names_the_scenarios_that_ship(tmp_path: Path) -> None:
    """A wrong path gives the names that would work."""
    with pytest.raises(SimError, match=r"no such file; .* demo, detection, office, recording"):
        read_scenario(tmp_path / "none.toml", 0.0)


@pytest.mark.parametrize("name", ["demo", "detection", "office"])
def test_shipped_scenarios_are_right(name: str) -> None:
    """What ships can be read by its bare name."""
    assert read_scenario(find(name), 0.0).meters


def test_the_shipped_recording_scenario_only_lacks_its_recording() -> None:
    """Recordings are not shipped; the complaint says which file to put where."""
    with pytest.raises(SimError) as error:
        read_scenario(SCENARIOS / "recording.toml", 0.0)

    assert len(error.value.complaints) == 1
    assert "recording.csv: No such file" in error.value.complaints[0]


def test_without_a_start_the_week_begins_it() -> None:
    """Without a start a scenario begins on Monday of this week, so that a restart counts on."""
    thursday = datetime(2026, 1, 8, 15, tzinfo=UTC).timestamp()

    assert read_scenario(find("office"), thursday).start_s == datetime(2026, 1, 5, tzinfo=UTC).timestamp()
