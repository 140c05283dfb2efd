"""``flatwatt doctor`` before simulated meters: what is wrong is found, and nothing is found where nothing is wrong."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent.acquire.profiles.profile import profile_names
from agent.cli import main
from firmware_sim.testing import one_bus
from tests.agent.verbs.patient import EM340, LOAD_W, Simulate, codes, doctor, gateway

ROOT = Path(__file__).parents[3]
CURRENTS = [f"current_{phase}_a" for phase in ("l1", "l2", "l3")]
VOLTAGES = [f"voltage_{phase}_v" for phase in ("l1", "l2", "l3")]


def test_nothing_is_found_at_a_healthy_meter_of_any_profile(
    flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the model: every shipped profile is served by the simulator, and every one is called healthy."""
    meters = flatwatt_meters(one_bus(*profile_names(), power_w=LOAD_W))
    config = gateway(tmp_path, meters.url(), *profile_names())

    code, findings = doctor(capsys, "-c", str(config), readings=2)

    assert findings == []
    assert code == 0


@pytest.mark.parametrize(
    ("fault", "keys", "code", "cause"),
    [
        ("wiring", {"reversed": ["l2"]}, "ct_reversed", "the current transformer at input 2 is turned round"),
        ("wiring", {"reversed": ["l1", "l2", "l3"]}, "exports", "the meter is turned round"),
        ("wiring", {"cts": ["l1", "l3", "l2"]}, "ct_swapped", "the current transformers of phases 2 and 3 are swapped"),
        ("wiring", {"cts": ["l2", "l1", "l3"]}, "ct_swapped", "the current transformers of phases 1 and 2 are swapped"),
        ("wiring", {"cts": ["l2", "l3", "l1"]}, "ct_swapped", "sit one phase on"),
        ("scaled", {"quantities": CURRENTS, "factor": 0.01}, "scale", "the scale of one of them is wrong"),
        ("scaled", {"quantities": ["active_power_w"], "factor": 1000}, "scale", "the scale of one of them is wrong"),
        ("scaled", {"quantities": VOLTAGES, "factor": 10}, "scale", "the scale of the voltages is wrong"),
        (
            "scaled",
            {"quantities": ["power_factor"], "factor": 0.5},
            "contradiction",
            "is not what the profile takes it",
        ),
        ("value", {"quantities": ["voltage_l3_v"], "value": 0}, "phase_without_voltage", "a blown fuse"),
        ("value", {"quantities": ["model_code"], "value": 102}, "wrong_profile", "another model than profile"),
        ("exception", {"code": 11}, "gateway", "the meter behind it does not answer"),
        ("exception", {"code": 6}, "not_ready", "the meter is there and cannot serve"),
        ("wrong_count", {}, "garbage", "every answer has the same mistake"),
        ("wrong_function", {"function": 3}, "garbage", "every answer has the same mistake"),
        ("not_available", {"quantities": ["active_power_w"]}, "no_power", "the meter does not measure"),
        ("exception", {"code": 2, "addresses": [40, 41]}, "no_power", "the meter does not measure"),
        ("closed", {}, "silent", "the host takes the connection and ends it"),
        ("wrong_unit", {"unit": 9}, "garbage", "or a faulty device"),
        ("wrong_transaction", {}, "garbage", "or a faulty device"),
        ("silence", {}, "silent", "it has another unit id"),
    ],
)
def test_each_fault_is_named(
    fault: str,
    keys: dict[str, Any],
    code: str,
    cause: str,
    flatwatt_meters: Simulate,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With its likely cause and the next step; the exit code is 1."""
    meters = flatwatt_meters(one_bus(EM340, power_w=LOAD_W))
    meters.fault("m1", fault, **keys)

    exit_code, findings = doctor(capsys, meters.url(), "--profile", EM340, "--timeout", "0.2")

    assert exit_code == 1
    assert code in codes(findings)
    assert cause in next(finding["cause"] for finding in findings if finding["code"] == code)


@pytest.mark.parametrize(
    ("mistake", "instead", "code", "told"),
    [
        ('order = "CDAB"', 'order = "ABCD"', "word_order", 'with swapped words, order = "CDAB" they are'),
        ('order = "CDAB"', 'order = "DCBA"', "word_order", 'order = "CDAB" they are'),
        ("function = 4", "function = 3", "function", "with function 4 they are"),
    ],
)
def test_a_profile_with_a_mistake_is_put_right(
    mistake: str,
    instead: str,
    code: str,
    told: str,
    flatwatt_meters: Simulate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The finding says what the profile must say; functions 3 and 4 of this model are told apart for the test."""
    meter, mine = tmp_path / "meter.toml", tmp_path / "mine.toml"
    shipped = (ROOT / f"configs/meters/{EM340}.toml").read_text()
    meter.write_text(shipped)
    mine.write_text(shipped.replace(mistake, instead))
    meters = flatwatt_meters(one_bus(str(meter), power_w=LOAD_W))

    exit_code, findings = doctor(capsys, meters.url(), "--profile", str(mine))

    assert (exit_code, codes(findings)) == (1, [code])
    assert told in findings[0]["seen"]


def test_wrong_input_is_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A program that reads what was found reads the complaints the same way."""
    code = main(["doctor", "--json", "-c", str(tmp_path / "none.toml")])

    told = json.loads(capsys.readouterr().out)
    assert code == 2
    assert (told["ok"], told["complaints"][0]["key"]) == (False, "file")


@pytest.mark.parametrize("step", [-1, 1])
def test_addresses_that_are_one_off_are_found(
    step: int, flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they are when a list of register numbers that begin at 1 is taken for addresses."""
    shipped = (ROOT / "configs/meters/schneider_iem3155.toml").read_text()
    mine = tmp_path / "mine.toml"
    mine.write_text(re.sub(r"address = (\d+)", lambda found: f"address = {int(found[1]) + step}", shipped))
    meters = flatwatt_meters(one_bus("schneider_iem3155", power_w=LOAD_W))

    exit_code, findings = doctor(capsys, meters.url(), "--profile", str(mine))

    assert (exit_code, codes(findings)) == (1, ["address"])
    assert f"with every address {-step:+d} they are" in findings[0]["seen"]


def test_a_wrong_profile_is_named_with_the_right_one(
    flatwatt_meters: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    """The meter's own code tells which of the shipped profiles it is."""
    meters = flatwatt_meters(one_bus("abb_b23", power_w=LOAD_W))

    exit_code, findings = doctor(capsys, meters.url(), "--profile", EM340)

    assert (exit_code, codes(findings)) == (1, ["wrong_profile"])
    assert 'profile = "abb_b23"' in findings[0]["next_step"]


def test_a_person_reads_what_was_seen_why_and_what_to_do(
    flatwatt_meters: Simulate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Worst first, each with its meter; what is well is said in a row."""
    meters = flatwatt_meters(one_bus(EM340, EM340, power_w=LOAD_W))
    meters.fault("m2", "wiring", cts=["l1", "l3", "l2"])

    code = main(["doctor", "--readings", "2", "-c", str(gateway(tmp_path, meters.url(), EM340, EM340))])

    out = capsys.readouterr().out
    assert code == 1
    (well,) = (line.split() for line in out.splitlines() if line.startswith("m1"))
    assert (well[:4], well[-1]) == (["m1", EM340, "1", "9000"], "none")
    assert "fault: m2: ct_swapped\n  seen active power of the phases" in out
    assert "\n  why  the current transformers of phases 2 and 3 are swapped\n  do   " in out
    assert out.endswith("\n1 finding\n")


def test_without_a_profile_the_model_is_looked_for(
    flatwatt_meters: Simulate, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the meter's code, as a scan does."""
    meters = flatwatt_meters(one_bus(EM340, power_w=LOAD_W))

    code = main(["doctor", meters.url(), "--json", "--readings", "2"])

    (meter,) = json.loads(capsys.readouterr().out)["meters"]
    assert code == 0
    assert (meter["profile"], meter["answered"], meter["active_power_w"]) == (EM340, True, LOAD_W)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name either a bus"),
        (["tcp://h", "-c", "gateway.toml"], "name either a bus"),
        (["tcp://h", "--unit", "256"], "--unit 256 is wrong"),
        (["tcp://h", "--readings", "1"], "--readings 1 is wrong"),
        (["tcp://h", "--timeout", "0"], "--timeout 0 is wrong"),
        (["tcp://h", "--profile", "abb_b32"], 'did you mean "abb_b23"?'),
        (["udp://h", "--profile", "abb_b23"], "unknown scheme 'udp'"),
    ],
)
def test_a_wrong_argument_is_wrong_input(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one line that says what was expected."""
    assert main(["doctor", *words]) == 2
    assert told in capsys.readouterr().err
