"""Faults of the disk under the agent's state: power loss, rot, full, failing, read-only, another version's files."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.faults.bed import HOUR_S, Bed
from tests.faults.case import NotPossibleError, fault
from tests.faults.invariants import contradictions
from tests.faults.process import Process
from tests.faults.story import START_S, Story


class Card:
    """The agent's state_dir on a disk that forgets: see :mod:`tests.faults.disk`."""

    def __init__(self, bed: Bed) -> None:
        self._path = bed.state
        self._path.mkdir()
        self._process = Process(bed.folder, "disk", [sys.executable, "-m", "tests.faults.disk", str(bed.state)])
        self._process.start()
        bed.early.callback(self.close)
        self._mounted()

    def order(self, words: str) -> None:
        """Give an order to the disk."""
        (self._path / ".control").write_text(words)

    def cut_power(self, seed: int) -> None:
        """Lose what was not forced, and come back. The agent must be dead."""
        self.order(f"cut {seed}")
        subprocess.run(["umount", "-l", str(self._path)], check=True)
        self._mounted()

    def close(self) -> None:
        """Unmount."""
        subprocess.run(["umount", "-l", str(self._path)], check=False, capture_output=True)
        if self._process.running():
            self._process.kill()

    def _mounted(self) -> None:
        deadline_s = time.monotonic() + 10
        while not os.path.ismount(self._path):
            if not self._process.running() or time.monotonic() > deadline_s:
                raise NotPossibleError(f"no FUSE here: {self._process.tail(3)}")
            time.sleep(0.02)


@fault("O2", "power loss: un-fsynced pages dropped")
def power_loss(bed: Bed) -> str:
    """12 power cuts, what was not forced is gone: every record sent survives, the open window is told."""
    card = Card(bed)
    bed.open(Story(hours=48, speed=6_000))
    bed.start_agent()
    for number in range(12):
        time.sleep(bed.chance.uniform(0.3, 2.0))
        bed.agent.kill()
        card.cut_power(bed.seed + number)
        bed.start_agent()
    bed.finish(200)
    bed.check()
    streams = bed.count("SELECT count(*) FROM stream")
    assert streams == 1, f"{streams} streams: a spool was lost"
    return f"12 power cuts, {len(bed.events('restart'))} restarts told, 1 stream, no number used twice"


@fault("O3", "torn write / bit flip in spool, WAL, state file")
def rot(bed: Bed) -> str:
    """Eight times bits flip, or a page is torn, in spool, log or history, with 3 h unsent: told, no crash loop."""
    bed.open(Story(hours=48, speed=20_000), through=("uplink",))
    bed.start_agent()
    harms = [(flip, "spool.db"), (tear, "spool.db"), (flip, "spool.db-wal"), (tear, "history.db")]
    told = []
    for number, (harm, name) in enumerate(harms * 2):
        bed.wait_hours(5 * number + 2)
        bed.uplink.cut()
        bed.wait_hours(5 * number + 5)
        bed.agent.kill()
        path = bed.state / name
        if path.exists():
            told.append(f"{name}: {harm(bed, path)}")
        bed.uplink.mend()
        bed.start_agent()
    bed.finish(200)
    bed.check(allowed={"lost"})
    losses = bed.events("spool_corrupt")
    assert losses, "no damage was noticed"
    rotted = len(contradictions(bed.database, bed.truth())["lost"])
    told_lost = sum(salvage["lost"] for salvage in bed.events("spool_salvaged"))
    assert rotted <= told_lost, f"{rotted} windows are gone, and {told_lost} records were told as lost"
    known = bed.count("SELECT count(*) FROM (SELECT DISTINCT meter, start_s FROM summary)")
    lost = len(bed.truth().expected) - known
    assert lost <= 3 * 12, f"{lost} windows are gone, more than one outage left unsent"
    return f"{len(told)} damages; {len(losses)} told of the spool; {lost} windows gone, all declared"


def flip(bed: Bed, path: Path) -> str:
    """Flip some bits in the middle of a file."""
    data = bytearray(path.read_bytes())
    places = sorted(bed.chance.randrange(100, len(data)) for _ in range(5)) if len(data) > 200 else []
    for place in places:
        data[place] ^= 1 << bed.chance.randrange(8)
    path.write_bytes(data)
    return f"{len(places)} bits"


def tear(bed: Bed, path: Path) -> str:
    """Overwrite half of a page with zeros."""
    data = bytearray(path.read_bytes())
    if len(data) < 8192:
        return "nothing"
    start = bed.chance.randrange(1, len(data) // 4096) * 4096 + 2048
    data[start : start + 2048] = bytes(2048)[: len(data) - start]
    path.write_bytes(data)
    return "a page"


@fault("O4", "disk full at every write point")
def disk_full(bed: Bed) -> str:
    """The disk fills up at the 1st to 60th write from a random moment, 8 times, for 2 h: measuring goes on, 0 lost."""
    return sick_disk(bed, lambda: f"full_after {bed.chance.randint(1, 60)}")


@fault("O5", "EIO / read-only remount")
def disk_fails(bed: Bed) -> str:
    """EIO or a read-only disk, 8 times for 2 h: memory mode is told, measuring goes on, 0 lost."""
    return sick_disk(bed, lambda: bed.chance.choice(("broken", "read_only")))


def sick_disk(bed: Bed, order: Callable[[], str]) -> str:
    """Let the disk fail again and again, and mend it; the agent is never restarted."""
    card = Card(bed)
    bed.open(Story(hours=48, speed=8_000))
    bed.start_agent()
    in_memory = 0
    for number in range(8):
        bed.wait_hours(5 * number + 3 + bed.chance.random())
        card.order(order())
        bed.wait_hours(5 * number + 6)
        in_memory += bed.retained_status().storage == "memory"
        card.order("well")
    bed.finish(200)
    bed.check()
    assert in_memory, "the status never said that the disk cannot be written"
    told = len(bed.events("storage"))
    assert told, "no event told of the storage"
    return f"8 times, {in_memory} of them in memory mode as the status says, {told} events, never restarted"


@fault("O10", "upgrade/downgrade with full spool")
def other_version(bed: Bed) -> str:
    """A spool with a day of unsent records says another version: put aside whole, told, its records delivered."""
    bed.open(Story(hours=36, speed=20_000), through=("uplink",))
    bed.uplink.cut()
    bed.start_agent()
    bed.wait_hours(24)
    bed.agent.kill()
    with closing(sqlite3.connect(bed.state / "spool.db", isolation_level=None)) as db:
        db.execute("PRAGMA user_version = 99")
    bed.uplink.mend()
    bed.start_agent()
    bed.finish()
    losses = bed.events("spool_corrupt")
    kept = list(bed.state.glob("spool.db*corrupt*"))
    bed.check(allowed={"lost"})
    assert losses, "nothing was told"
    assert kept, "the old spool is gone"
    salvaged = bed.count("SELECT count(*) FROM summary WHERE start_s < ?", START_S + 23 * HOUR_S)
    assert salvaged == 3 * 23 * 4, f"{salvaged} of {3 * 23 * 4} windows of the day before the change were delivered"
    return "all records of the other version were delivered"
