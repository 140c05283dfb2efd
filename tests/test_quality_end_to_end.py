"""Faults of meters on the whole path: simulator, Modbus, agent, broker, collector."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.broker import mosquitto
from tests.facility import facility

START_S = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())
SCENARIO = """
[scenario]
name = "Four faults"
start = 2026-01-05T00:00:00Z
seed = 3
step_s = 60
[[bus]]
name = "tcp"
url = "tcp://127.0.0.1:0"
"""
METER = """
[[meter]]
id = "{id}"
bus = "tcp"
unit = {unit}
profile = "{profile}"
[[meter.load]]
kind = "miner_farm"
machines = 6
[[meter.fault]]
{fault}
"""
FAULTS = {  # models that want no silence between requests: that would be real time, even in fast motion
    "stuck": ("carlo_gavazzi_em340", 'kind = "stuck"\nfrom = "6h"\nuntil = "9h"'),
    "reset": ("carlo_gavazzi_em340", 'kind = "reset"\nfrom = "8h5m"'),
    "other": ("eastron_sdm120", 'kind = "serial_change"\nserial = 777\nfrom = "6h10m"'),
    "ratio": ("chint_dtsu666", 'kind = "ct_change"\nfactor = 5\nfrom = "7h10m"'),
    "scale": (
        "schneider_iem3155",
        'kind = "scaled"\nquantities = ["active_energy_import_wh"]\nfactor = 2',
    ),
    "honest": ("eastron_sdm72d_m", 'kind = "silence"\nfrom = "9d"'),
}


def test_what_is_wrong_with_a_meter_is_told_once_and_not_judged(tmp_path: Path) -> None:
    """Over a restart too; each event names place and numbers, and no window of doubt mines."""
    scenario = tmp_path / "scenario.toml"
    meters = (
        METER.format(id=id_, unit=unit, profile=profile, fault=fault)
        for unit, (id_, (profile, fault)) in enumerate(FAULTS.items(), start=1)
    )
    scenario.write_text(SCENARIO + "".join(meters))
    until_s = START_S + 12 * 3600
    with (
        mosquitto(tmp_path) as broker,
        facility(
            tmp_path, scenario, broker, start_s=START_S, until_s=until_s, period_s=60, window_s=900, speed=20_000
        ) as parts,
    ):
        parts.agent.start()
        while parts.now_s() < START_S + 7.5 * 3600 and parts.agent.running():
            time.sleep(0.01)
        parts.agent.kill()
        parts.agent.start()
        assert parts.agent.finish(120) == 0, parts.agent.log.read_text()
        events = parts.query(
            "SELECT meter, event, text, data FROM event WHERE meter IS NOT NULL AND event != 'restart' ORDER BY time_s"
        )
        letters = parts.query("SELECT meter, start_s, quality, verdict, mining_p50_w FROM summary ORDER BY start_s")

    told = [(meter, event, json.loads(data).get("state")) for meter, event, _, data in events]
    texts = {(meter, event): text for meter, event, text, _ in events}
    assert sorted(told, key=str) == [
        ("other", "exchange", None),
        ("ratio", "configuration", None),
        ("reset", "tamper", None),
        ("scale", "quality", "raised"),
        ("stuck", "quality", "cleared"),
        ("stuck", "quality", "raised"),
    ]
    assert " and is 777, read after 2026-01-05 0" in texts["other", "exchange"]
    assert "current transformer ratio was 1 and is 5" in texts["ratio", "configuration"]
    assert "the import register was reset: it went from" in texts["reset", "tamper"]
    assert "the profile's scale is off by ×2" in texts["scale", "quality"]
    found = {meter: {letter for name, _, letter, *_ in letters if name == meter} - {"P"} for meter in FAULTS}
    assert found == {
        "stuck": {"G", "K"},
        "reset": {"G", "R"},
        "other": {"G", "X"},
        "ratio": {"G", "X"},
        "scale": {"G", "E"},
        "honest": {"G"},
    }
    assert {(verdict, watts) for _, _, letter, verdict, watts in letters if letter in "KXRE"} == {("fault", 0.0)}
