"""The site of all these measurements: 20 meters on four Modbus TCP buses, as processes on this machine, in fast motion.

A facility of ``tests.facility`` with a clock that can also run while nobody measures, as a real one does.
"""

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.broker import Broker
from tests.facility import Facility, Part, facility

START_S = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())  # a Monday
DAY_S = 86_400
FOREVER_S = START_S + 4000 * DAY_S
METERS = tuple(f"m{number:02}" for number in range(1, 21))
BUSES = 4
PROFILES = ("eastron_sdm630", "abb_b23", "carlo_gavazzi_em340", "schneider_iem3155", "janitza_umg_604")
GATEWAY = "demo"  # the id that `flatwatt sim --gateway` gives
_LOADS = (
    'kind = "office"\nmean_w = {w}',
    'kind = "lighting"\npower_w = {w}',
    'kind = "heater"\npower_w = {w}\nheaters = 4',
    'kind = "data_hall"\nit_w = {w}',
    'kind = "constant"\npower_w = {w}',
)


def scenario(folder: Path, step_s: float) -> Path:
    """Write the scenario: five models of meters and five kinds of load, so that no two meters say the same."""
    lines = [
        f'[scenario]\nname = "Twenty meters"\nstart = 2026-01-05T00:00:00Z\nseed = 5\nstep_s = {step_s:g}',
        *(f'[[bus]]\nname = "b{bus}"\nurl = "tcp://127.0.0.1:0"' for bus in range(BUSES)),
    ]
    for number, meter in enumerate(METERS):
        load = _LOADS[number % len(_LOADS)].format(w=2000 + 700 * number)
        profile = PROFILES[number // BUSES]
        lines.append(
            f'[[meter]]\nid = "{meter}"\nbus = "b{number % BUSES}"\nunit = {1 + number // BUSES}\n'
            f'profile = "{profile}"\n[[meter.load]]\n{load}'
        )
    path = folder / "scenario.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def site(folder: Path, broker: Broker, *, period_s: float, window_s: int, speed: float) -> Iterator[Facility]:
    """Run meters and collector; the agent is to be started."""
    with facility(
        folder,
        scenario(folder, period_s),
        broker,
        start_s=START_S,
        until_s=FOREVER_S,
        period_s=period_s,
        window_s=window_s,
        speed=speed,
    ) as parts:
        yield parts


def agent(folder: Path, speed: float, until_s: float = FOREVER_S) -> Part:
    """Give another agent of the same gateway, at another pace or with an end."""
    until = datetime.fromtimestamp(until_s, UTC).isoformat()
    fast = ("--fast-motion", str(folder / "clock"), "--speed", str(speed), "--until", until)
    return Part(folder, "run", "-c", "gateway.toml", *fast)


def wait(part: Part, until: Callable[[], bool], patience_s: float = 600.0) -> None:
    """Wait for something that a running part brings about; end the measurement where it cannot come any more."""
    deadline_s = time.monotonic() + patience_s
    while not until():
        if not part.running() or time.monotonic() > deadline_s:
            raise SystemExit(f"{part.log.name} ended or hangs; its last words:\n{part.log.read_text()[-3000:]}")
        time.sleep(0.02)


def wait_until(part: Part, parts: Facility, time_s: float) -> None:
    """Wait for a moment of the simulated time, which this agent drives."""
    wait(part, lambda: parts.now_s() >= time_s)


def pass_time(parts: Facility, seconds: float) -> None:
    """Let time go by while the agent is away; the meters, who map the same eight bytes, see it."""
    moment = parts.now_s() + seconds
    with (parts.folder / "clock").open("r+b") as clock:
        clock.write(struct.pack("<d", moment))


def configure(folder: Path, old: str, new: str) -> None:
    """Change a line of the gateway's configuration before its agent starts."""
    path = folder / "gateway.toml"
    text = path.read_text()
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new))
