"""Faults of the configuration: wrong, half written, changed under way, or open to others."""

import signal
import time

from tests.faults.bed import HOUR_S, START_S, Bed, Story
from tests.faults.case import fault


@fault("C1", "syntax error on reload")
def wrong_on_reload(bed: Bed) -> str:
    """The file gets a syntax error while the agent runs, and it is told to reload, then killed: nothing is lost."""
    bed.open(Story(hours=24, speed=6_000), through=("uplink",))
    bed.start_agent()
    bed.wait_hours(6)
    good = bed.config.read_text()
    bed.uplink.cut()
    bed.config.write_text(good.replace("[poll]", "[poll"))
    bed.agent.signal(signal.SIGHUP)
    time.sleep(0.5)
    assert bed.agent.running(), f"a reload of a wrong file ended the agent:\n{bed.agent.tail()}"
    bed.wait_hours(9)
    before = spool_bytes(bed)
    bed.agent.kill()
    bed.agent.start()
    assert bed.agent.finish(20) == 2, bed.agent.tail()
    said = bed.agent.tail(1)
    assert "gateway.toml:" in said, said
    assert spool_bytes(bed) == before, "a wrong file touched the spool"
    bed.config.write_text(good)
    bed.uplink.mend()
    bed.start_agent()
    bed.finish()
    bed.check()
    return f"kept its old configuration; a start says: {said.split('/')[-1][:100]}"


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
    bed.config.write_text(wrong.replace('profile = "carlo_gavazzi_em340"', f'profile = "{profile}"', 1))
    said = bed.flatwatt("check", "-c", str(bed.config))
    assert said.returncode == 2, said
    lines = said.stderr.splitlines()
    assert any("periods" in line and "gateway.toml:" in line for line in lines), lines
    assert any("unit" in line and "gateway.toml:" in line for line in lines), lines
    assert any("own.toml:" in line for line in lines), lines
    assert "Traceback" not in said.stderr
    return f"{len(lines)} complaints, each with file and line; exit code 2"


@fault("C3", "half-written config at power cut")
def half_written(bed: Bed) -> str:
    """The file is cut off in the middle by a power cut while 3 h wait in the spool: a clear refusal, nothing lost."""
    bed.open(Story(hours=24, speed=8_000), through=("uplink",))
    bed.start_agent()
    bed.wait_hours(6)
    bed.uplink.cut()
    bed.wait_hours(9)
    bed.agent.kill()
    good = bed.config.read_text()
    for share in (0.0, 0.3, 0.7):
        bed.config.write_text(good[: int(len(good) * share)])
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
    """The private key, then the password file, may be read by others: `run` and `check` refuse with the next step."""
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
    return "; ".join(line.split(str(bed.folder))[-1][:110] for line in said)
