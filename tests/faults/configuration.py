"""Faults of the configuration: wrong, half written, changed under way, or open to others."""

import time
from pathlib import Path

from tests.faults.bed import HOUR_S, Bed
from tests.faults.case import fault
from tests.faults.story import START_S, Story


@fault("C1", "syntax error on reload")
def wrong_on_reload(bed: Bed) -> str:
    """The file gets a syntax error and a signed order says to reload it: refused, the old stays, spool untouched."""
    bed.open(Story(real=True, period_s=1.0, window_s=5))
    key = operator(bed)
    good = bed.config.read_text()
    bed.start_agent()
    bed.wait_for(bed.caught_up, "the first window", 40, agent_runs=True)
    bed.config.write_text(good.replace("[poll]", "[poll"))
    said = bed.flatwatt("command", "demo", "reload", "--key", str(key), "--mqtt", bed.broker.url)
    assert said.returncode == 1, said
    told = bed.query("SELECT state, text FROM reply")
    assert [state for state, _ in told] == ["failed"], told
    before = bed.count("SELECT count(*) FROM summary")
    more = lambda: bed.count("SELECT count(*) FROM summary") > before  # noqa: E731
    bed.wait_for(more, "the next window", 20, agent_runs=True)
    bed.agent.kill()
    spool = spool_bytes(bed)
    bed.start_agent()
    assert bed.agent.finish(20) == 2, bed.agent.tail()
    refusal = bed.agent.tail(1)
    assert spool_bytes(bed) == spool, "a wrong file touched the spool"
    bed.config.write_text(good)
    bed.start_agent()
    time.sleep(11)
    bed.finish()
    bed.check(allowed={"invented", "energy_off"})
    reply = told[0][1].replace(f"{bed.folder}/", "")[:110]
    return f"reply: {reply}…; a start says: {refusal.split('/')[-1][:60]}"


def operator(bed: Bed) -> Path:
    """Make an operator's key, which the gateway obeys."""
    key = bed.folder / "operator.key"
    made = bed.flatwatt("keys", "operator", str(key))
    assert made.returncode == 0, made
    text = bed.config.read_text()
    bed.config.write_text(text.replace("[[bus]]", f'[commands]\noperator_key_file = "{key}.pub"\n[[bus]]', 1))
    return key


def spool_bytes(bed: Bed) -> bytes:
    """Give the spool and its log, byte for byte."""
    return b"".join(path.read_bytes() for path in sorted(bed.state.glob("spool.db*")) if not path.name.endswith("shm"))


@fault("C2", "duplicate unit ids, overlapping registers, unknown keys")
def refused_by_check(bed: Bed) -> str:
    """Two meters with one unit, an unknown key, a register twice in a profile: `check` names each with its line."""
    bed.open(Story(hours=1))
    text = bed.config.read_text()
    wrong = text.replace("unit = 2", "unit = 1").replace("[poll]", "[poll]\nperiods = 1")
    profile = bed.folder / "own.toml"
    profile.write_text(
        'name = "own"\nmaker = "a"\nmodel = "b"\nphases = 1\n' + 2 * '[[register]]\nname = "active_power_w"\n'
    )
    bed.config.write_text(text.replace('profile = "carlo_gavazzi_em340"', f'profile = "{profile}"', 1))
    own = bed.flatwatt("check", "-c", str(bed.config))
    assert own.returncode == 2, own
    assert "own.toml:" in own.stderr, own.stderr
    bed.config.write_text(wrong)
    said = bed.flatwatt("check", "-c", str(bed.config))
    assert said.returncode == 2, said
    lines = said.stderr.splitlines()
    assert any("periods" in line and "gateway.toml:" in line for line in lines), lines
    assert any("unit" in line and "gateway.toml:" in line for line in lines), lines
    assert "Traceback" not in said.stderr
    return f"{len(lines) + len(own.stderr.splitlines())} complaints, each with file and line; exit code 2"


@fault("C3", "half-written config at power cut")
def half_written(bed: Bed) -> str:
    """The file ends in the middle of a line after a power cut, while 3 h wait in the spool: refused, nothing lost."""
    bed.open(Story(hours=24, speed=8_000), through=("uplink",))
    bed.start_agent()
    bed.wait_hours(6)
    bed.uplink.cut()
    bed.wait_hours(9)
    bed.agent.kill()
    good = bed.config.read_text()
    for place in (0, good.index("slow_period_s") + 4, good.rindex('profile = "') + 14):
        bed.config.write_text(good[:place])
        bed.start_agent()
        assert bed.agent.finish(20) == 2, bed.agent.tail()
        assert "Traceback" not in bed.agent.tail(30)
    bed.config.write_text(good)
    bed.uplink.mend()
    bed.start_agent()
    bed.finish()
    bed.check()
    return "three stumps refused with exit code 2; with the file whole again all was delivered"


@fault("C4", "meter removed while spool has its rows")
def meter_removed(bed: Bed) -> str:
    """A meter is taken out of the file while three hours of its records wait in the spool: they are delivered."""
    bed.open(Story(hours=24, speed=8_000), through=("uplink",))
    bed.start_agent()
    bed.wait_hours(6)
    bed.uplink.cut()
    bed.wait_hours(9)
    bed.agent.kill()
    last = int(bed.now_s() // 900 * 900)
    text = bed.config.read_text()
    bed.config.write_text(text[: text.index('[[meter]]\nid = "m3"')])
    bed.uplink.mend()
    bed.start_agent()
    bed.finish()
    bed.check(unlived=[("m3", last, bed.until_s)])
    kept = bed.count("SELECT count(*) FROM summary WHERE meter = 'm3' AND start_s >= ?", START_S + 6 * HOUR_S)
    assert kept >= 11, f"{kept} windows"
    return f"{kept} windows of the meter that is gone were delivered"


@fault("C5", "secrets world-readable")
def open_secrets(bed: Bed) -> str:
    """The private key, then the password file, may be read by others: `run` refuses and names the next step."""
    bed.open(Story(hours=3))
    bed.start_agent()
    bed.wait_hours(1)
    bed.agent.kill()
    key = bed.state / "key.pem"
    key.chmod(0o644)
    bed.start_agent()
    assert bed.agent.finish(20) in (1, 2), "the agent runs with a key that all may read"
    said = [bed.agent.tail(1)]
    key.chmod(0o600)
    text = bed.config.read_text()
    (bed.folder / "password").write_text("secret\n")
    (bed.folder / "password").chmod(0o644)
    bed.config.write_text(text.replace("[mqtt]\n", '[mqtt]\nusername = "demo"\npassword_file = "password"\n'))
    bed.start_agent()
    assert bed.agent.finish(20) == 2, "the agent runs with a password that all may read"
    said.append(bed.agent.tail(1))
    bed.config.write_text(text)
    bed.start_agent()
    bed.finish()
    bed.check()
    assert all("chmod 600" in line for line in said), said
    return "; ".join(line.replace(f"{bed.folder}/", "")[:110] for line in said)
