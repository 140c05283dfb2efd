"""Faults of the machine that the agent runs on: killed, starved, frozen, out of memory, descriptors or time."""

import os
import signal
import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.faults.bed import Bed
from tests.faults.case import NotPossibleError, fault
from tests.faults.modbus import counts
from tests.faults.story import Story

CGROUPS = Path("/sys/fs/cgroup")


@fault("O1", "kill -9 agent 1000x random points")
def agent_killed(bed: Bed) -> str:
    """The agent is killed 60 times at random (1,000 times in `make delivery`): I1 to I4 hold, polling again in 5 s."""
    bed.open(Story(hours=72, speed=6_000))
    bed.start_agent()
    longest_s = 0.0
    for _ in range(60):
        time.sleep(bed.chance.uniform(0.0, 0.8))
        bed.agent.kill()
        before_s, began_s = bed.now_s(), time.monotonic()
        bed.start_agent()
        bed.wait_for(lambda before_s=before_s: bed.now_s() > before_s, "the first poll", 20)  # type: ignore[misc]
        longest_s = max(longest_s, time.monotonic() - began_s)
    bed.finish(200)
    bed.check()
    streams = bed.count("SELECT count(*) FROM stream")
    assert streams == 1, f"{streams} streams"
    assert longest_s <= 5.0, f"{longest_s:.1f} s"
    told = len(bed.events("restart"))
    return f"60 kills, {told} restarts told, 1 stream; start to the next tick at most {longest_s:.1f} s"


def cgroup(bed: Bed, stack: ExitStack, controller: str, **settings: int) -> tuple[str, ...]:
    """Make a control group; give the prefix that starts a program in it."""
    group = CGROUPS / controller / f"flatwatt-{os.getpid()}"
    try:
        group.mkdir()
        for name, value in settings.items():
            (group / f"{controller}.{name}").write_text(str(value))
    except OSError as error:
        raise NotPossibleError(f"no control groups of version 1 to write here: {error}") from None
    stack.callback(_remove, group)
    bed.group = group
    return ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$0" "$@"')


def _remove(group: Path) -> None:
    with suppress(OSError):
        group.rmdir()


@fault("O6", "memory limit 128 MB, swap off")
def little_memory(bed: Bed) -> str:
    """The agent of 20 meters lives a week in a control group of 128 MB without swap: no OOM kill."""
    prefix = cgroup(bed, bed.early, "memory", limit_in_bytes=128 << 20, swappiness=0)
    bed.open(Story(meters=20, hours=7 * 24, period_s=300, speed=200_000))
    bed.start_agent(*prefix)
    bed.finish(300)
    bed.check()
    peak_mb = int((bed.group / "memory.max_usage_in_bytes").read_text()) / 2**20
    killed = "oom_kill 0" in (bed.group / "memory.oom_control").read_text()
    assert killed, (bed.group / "memory.oom_control").read_text()
    return f"at most {peak_mb:.0f} MB of 128 in the group, page cache included; peak RSS {bed.agent.peak_mb:.0f} MB"


@fault("O7", "CPU starved (10 %)")
def little_cpu(bed: Bed) -> str:
    """The agent of 4 meters at a poll a second gets 10 % of a core, then 0.1 %: overruns counted, no false value."""
    prefix = cgroup(bed, bed.early, "cpu", cfs_period_us=1_000_000, cfs_quota_us=100_000)
    bed.open(Story(real=True, meters=4, period_s=1.0, window_s=10, loads=constant(4)))
    (bed.group / "cpu.cfs_quota_us").write_text("-1")  # a start at 10 % is no fault, and takes 15 s
    bed.start_agent(*prefix)
    bed.wait_for(lambda: bed.count("SELECT count(*) FROM summary") >= 4, "the first window", 40, agent_runs=True)
    missed = []
    for quota in (100_000, 1_000):
        (bed.group / "cpu.cfs_quota_us").write_text(str(quota))
        time.sleep(25)
        (bed.group / "cpu.cfs_quota_us").write_text("-1")
        seen = counts(bed)
        missed.append(sum(meter["missed"] for meter in seen["meters"].values()) + seen["buses"]["hall"]["overruns"])
    time.sleep(11)
    bed.finish()
    bed.check(allowed={"energy_off"})
    assert missed[1] > missed[0], "a thousandth of a core was enough: nothing was tried"
    return f"ticks missed in 25 s at 10 %: {missed[0]}; at 0.1 %: {missed[1] - missed[0]}; all values true"


def constant(meters: int) -> dict[str, str]:
    """Give loads that are the same at every moment, for truths in real time."""
    return {f"m{unit}": f'kind = "constant"\npower_w = {10_000 + 1_000 * unit}' for unit in range(1, meters + 1)}


@fault("O8", "fd exhaustion")
def few_descriptors(bed: Bed) -> str:
    """The agent may open 40 files, and its connections are cut for 60 s again and again: it leaks none, and goes on."""
    bed.open(Story(real=True, period_s=1.0, window_s=10), through=("uplink", "field"))
    bed.start_agent("sh", "-c", 'ulimit -n 40; exec "$0" "$@"')
    bed.wait_for(lambda: bed.count("SELECT count(*) FROM summary") >= 3, "the first window", 40, agent_runs=True)
    files = Path(f"/proc/{bed.agent.pid}/fd")
    before = len(list(files.iterdir()))
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        bed.uplink.drop()
        bed.field.drop()
        time.sleep(0.1)
    time.sleep(15)
    after = len(list(files.iterdir()))
    cuts = bed.uplink.connections + bed.field.connections
    bed.finish()
    bed.check(allowed={"invented", "energy_off"})
    assert after <= before + 2, f"{before} descriptors, then {after}"
    return f"{cuts} connections: {before} descriptors before, {after} after (limit 40)"


class Watchdog:
    """What systemd does where a unit has ``WatchdogSec``: listens for signs of life, kills where they stay away."""

    def __init__(self, folder: Path, limit_s: float) -> None:
        self.path = folder / "notify"
        self.signs = 0
        self.barked = threading.Event()
        self._limit_s = limit_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))

    def environment(self) -> dict[str, str]:
        """Give what systemd tells a service."""
        return {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": str(int(self._limit_s * 1e6))}

    def watch(self, pid: int) -> None:
        """Watch a process until its signs of life stay away; then end it as systemd does."""
        threading.Thread(target=self._watch, args=(pid,), daemon=True).start()

    def _watch(self, pid: int) -> None:
        self._socket.settimeout(self._limit_s)
        try:
            while True:
                if b"WATCHDOG=1" in self._socket.recv(4096):
                    self.signs += 1
        except TimeoutError:
            self.barked.set()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@fault("O9", "hung main loop")
def hung(bed: Bed) -> str:
    """The agent hangs (SIGSTOP): a watchdog as systemd's, of 4 s instead of 60, ends it; it measures again in 60 s."""
    bed.open(Story(real=True, period_s=1.0, window_s=10))
    dog = Watchdog(bed.folder, 4.0)
    bed.start_agent(environment=dog.environment())
    dog.watch(bed.agent.pid)
    bed.wait_for(lambda: bed.count("SELECT count(*) FROM summary") >= 3, "the first window", 40, agent_runs=True)
    assert not dog.barked.is_set(), "the agent gives no sign of life"
    began_s = time.monotonic()
    bed.agent.signal(signal.SIGSTOP)
    assert dog.barked.wait(30), "the watchdog never barked"
    bed.agent.finish(10)
    bed.start_agent()
    bed.wait_for(lambda: len(bed.events("restart")) == 1, "the restart to be told", 40, agent_runs=True)
    took_s = time.monotonic() - began_s
    time.sleep(11)
    bed.finish()
    bed.check(allowed={"invented", "energy_off"})
    assert took_s <= 60, f"{took_s:.0f} s"
    return f"{dog.signs} signs of life; hung until told again: {took_s:.1f} s with WatchdogSec=4"
