"""``flatwatt plan`` and ``flatwatt profiles`` as their users meet them."""

import json
from pathlib import Path

import pytest

from agent.acquire.learn.book import LEARNED_FILE, LearnedBook
from agent.acquire.learn.learned import Learned
from agent.acquire.profiles.profile import find_profile, profile_names
from agent.cli import main

ROOT = Path(__file__).parents[3]


def test_the_plan_of_a_meter_that_is_not_there_yet(capsys: pytest.CaptureFixture[str]) -> None:
    """The SDM630's fast values are one request of 72 registers: 157 bytes at 9600 baud, 204 ms with its pauses."""
    code = main(["plan", "rtu:///dev/ttyUSB0?baud=9600", "--profile", "eastron_sdm630", "--unit", "5", "--json"])

    (bus,) = json.loads(capsys.readouterr().out)["buses"]
    fast = [request for request in bus["requests"] if request["tier"] == "fast"]
    assert code == 0
    assert [(r["unit"], r["function"], r["address"], r["count"], r["bytes"]) for r in fast] == [(5, 4, 0, 72, 157)]
    assert fast[0]["wire_s"] == pytest.approx(157 / 960 + 3.5 / 960 + 0.020, abs=1e-5)


def test_the_plan_of_a_gateway_names_every_meter(capsys: pytest.CaptureFixture[str]) -> None:
    """As columns, with the share of the time that the bus is busy."""
    code = main(["plan", "-c", str(ROOT / "configs/gateway.example.toml")])

    out = capsys.readouterr().out
    assert code == 0
    assert {"main", "office", "feeder-2"} <= {line.split()[0] for line in out.splitlines()}
    assert "the bus is busy" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name either a bus"),
        (["tcp://10.0.0.1"], "--profile is missing"),
        (["tcp://10.0.0.1", "--profile", "abb_b32"], 'did you mean "abb_b23"?'),
        (["tcp://10.0.0.1", "--profile", "abb_b23", "--unit", "300"], "--unit 300 is wrong"),
        (["tcp://10.0.0.1", "--profile", "abb_b23", "--period", "inf"], "--period inf is wrong"),
        (["udp://10.0.0.1", "--profile", "abb_b23"], "udp"),
    ],
)
def test_a_wrong_argument_is_wrong_input(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and one line that says what was expected."""
    code = main(["plan", *words])

    assert code == 2
    assert told in capsys.readouterr().err


def test_profiles_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    """A list with one object for each profile."""
    code = main(["profiles", "list", "--json"])

    told = json.loads(capsys.readouterr().out)
    assert code == 0
    assert [profile["name"] for profile in told] == list(profile_names())
    assert {frozenset(profile) for profile in told} == {
        frozenset({"name", "maker", "model", "phases", "quantities", "verified"})
    }
    assert all(sum(profile["verified"].values()) == len(profile["quantities"]) for profile in told)


def test_a_profile_shows_its_registers_and_sources(capsys: pytest.CaptureFixture[str]) -> None:
    """What is read where, and who says so."""
    code = main(["profiles", "show", "carlo_gavazzi_em340"])

    out = capsys.readouterr().out
    assert code == 0
    assert "active_power_w                4  0x0028   i32   CDAB     0.1  fast            2" in out
    assert "not available is told by: 0x7fffffff (i32)" in out
    assert "source: volkszaehler/mbmd" in out


def test_a_profile_shows_which_entries_are_but_parts_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    """The kWh of a counter, with its Wh, which are not reported by themselves."""
    main(["profiles", "show", "fronius_ts_65a_3"])

    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if "i32" in line}
    assert lines["active_energy_import_wh"].endswith("+ energy_import_wh_part")
    assert lines["energy_import_wh_part"].endswith("(a parameter)")


def test_a_profile_of_ones_own_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sound one is named, a wrong one is exit code 2 with its line."""
    path = tmp_path / "mine.toml"
    good = (ROOT / "configs/meters/eastron_sdm72d_m.toml").read_text()
    path.write_text(good)
    assert main(["profiles", "check", str(path)]) == 0
    assert "OK, Eastron SDM72D-M, 4 quantities" in capsys.readouterr().out

    path.write_text(good.replace("active_power_w", "activ_power_w"))
    assert main(["profiles", "check", str(path)]) == 2

    told = capsys.readouterr().err
    assert 'registers.activ_power_w: no quantity of the vocabulary, did you mean "active_power_w"?' in told


def test_a_note_is_no_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A profile with a question is sound: the question stands at its line, and the exit code is 0."""
    path = tmp_path / "mine.toml"
    path.write_text((ROOT / "configs/meters/eastron_sdm72d_m.toml").read_text() + "[parameters]\nx = { address = 0 }\n")

    code = main(["profiles", "check", str(path)])

    assert code == 0
    assert "note: parameters.x: no entry refers to it" in capsys.readouterr().out


def test_a_word_finds_its_profiles(capsys: pytest.CaptureFixture[str]) -> None:
    """By name, maker or model, in any case; none is wrong input."""
    assert main(["profiles", "list", "CARLO"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert all(line.startswith("carlo_gavazzi") for line in told[1:-1])
    assert told[-1].endswith("profiles of 1 maker")

    assert main(["profiles", "list", "acme"]) == 2
    assert 'no profile has "acme"' in capsys.readouterr().err


def test_a_plan_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Each request in its parts, the sums of the tiers, the shortest period, and the usual ways beside it."""
    words = ["plan", "rtu:///dev/ttyUSB0?baud=9600", "--profile", "schneider_pm5110", "--explain"]

    assert main(words) == 0
    out = capsys.readouterr().out
    assert "fast, every 1 s: 3 requests, 203 bytes, 282 ms" in out
    assert "the shortest period that it can carry is 0.283 s" in out
    assert "one request a value              27    459   1117   3.954" in out

    assert main([*words, "--json"]) == 0
    (bus,) = json.loads(capsys.readouterr().out)["buses"]
    assert [way["way"] for way in bus["ways"]][:2] == ["flatwatt", "one request a value"]
    parts = ("silence_s", "request_s", "turnaround_s", "reply_s")
    assert sum(r[part] for r in bus["requests"] for part in parts) == pytest.approx(bus["ways"][0]["full_s"], abs=1e-4)


def test_a_unit_id_is_right_or_wrong_by_its_bus(capsys: pytest.CaptureFixture[str]) -> None:
    """255 is what some devices on TCP have, and none on a line."""
    assert main(["plan", "tcp://10.0.0.1", "--profile", "abb_b23", "--unit", "255"]) == 0
    capsys.readouterr()

    assert main(["plan", "rtu:///dev/ttyUSB0", "--profile", "abb_b23", "--unit", "255"]) == 2
    assert "--unit 255 is wrong, expected 1 to 247 on rtu:///dev/ttyUSB0" in capsys.readouterr().err


def test_the_plan_of_a_gateway_holds_what_it_has_learned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a meter refused is read across no more: one request has become two, and the plan says why."""
    config = tmp_path / "gateway.toml"
    config.write_text((ROOT / "configs/gateway.example.toml").read_text())
    (tmp_path / "state").mkdir()
    book = LearnedBook(tmp_path / "state" / LEARNED_FILE)
    digest = find_profile("eastron_sdm630").digest
    book.put("tcp://127.0.0.1:15020", 1, digest, Learned(since_s=1.0, forbidden=((0x24, 0x29),)))

    assert main(["plan", "-c", str(config), "--json"]) == 0

    (bus,) = json.loads(capsys.readouterr().out)["buses"]
    fast = [(r["address"], r["count"]) for r in bus["requests"] if (r["meter"], r["tier"]) == ("main", "fast")]
    assert bus["learned"] == {"main": "refuses 0x0024-0x0029"}
    assert sorted(fast) == [(0, 36), (42, 30)]
