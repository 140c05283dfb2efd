"""Whatever happens to a spool, in whatever order: nothing vanishes undeclared, and no number is used twice."""

import contextlib
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.deliver import chain, wire
from agent.deliver.spool.sacrifice import Sacrifice
from agent.deliver.spool.spool import Spool
from agent.deliver.spool.upkeep import Upkeep
from tests.agent.deliver.centre import GATEWAY
from tests.agent.deliver.spool.windows import LOOSE, NOW, START_S, key_in, tell

DAY = 96  # windows: each of the story is of another day


class Place(NamedTuple):
    """A number of a stream."""

    stream: str
    seq: int


class SpoolStory(RuleBasedStateMachine):
    """Windows, receipts, gaps, crashes, damage and old copies, as the world deals them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.round = 0
        self.windows = 0
        self.seen: dict[Place, bytes] = {}  # all that was ever there to be sent
        self.confirmed: dict[str, int] = {}

    def teardown(self) -> None:
        """Leave nothing behind."""
        self.spool.close()
        shutil.rmtree(self.folder)

    @property
    def path(self) -> Path:
        """Where the spool lies now: each crash takes it elsewhere."""
        return self.folder / str(self.round) / "spool.db"

    @initialize()
    def start(self) -> None:
        """Open it for the first time."""
        self.key = key_in(self.folder)
        self.open()

    def open(self) -> None:
        """Open the spool as the daemon does, and take over what there is."""
        self.spool = Spool(self.path, GATEWAY)
        self.upkeep = Upkeep(self.spool, self.key, LOOSE, lambda: NOW)
        self.look()
        while self.upkeep.salvage():
            pass

    def crash(self) -> list[Path]:
        """Leave the files as ``kill -9`` leaves them; give those that hold records."""
        old = self.path.parent
        self.round += 1
        shutil.copytree(old, self.path.parent)
        self.spool.close()
        return [file for file in self.path.parent.iterdir() if file.name in ("spool.db", "spool.db-wal")]

    @rule(meters=st.integers(1, 3), state=st.sampled_from(["", "raised", "cleared"]))
    def window(self, meters: int, state: str) -> None:
        """A window is told."""
        tell(self.spool, self.key, self.windows * DAY, meters=meters, alarms=[("a", state)] if state else ())
        self.windows += 1

    @rule()
    def half_a_window(self) -> None:
        """A window fails in the middle."""
        with contextlib.suppress(ZeroDivisionError), self.spool.batch() as batch:
            batch.add("event", "t", b"half")
            _ = 1 / 0

    @rule(share=st.floats(0, 1))
    def receipt(self, share: float) -> None:
        """The collector confirms some of what it may have; what is inside a gap cannot be compared."""
        through = int(share * self.spool.last_seq)
        self.spool.receipt(through)
        self.confirmed[self.spool.stream] = max(self.confirmed.get(self.spool.stream, 0), self.spool.receipted)

    @rule(windows=st.integers(1, 5))
    def sacrifice(self, windows: int) -> None:
        """There is room for so many windows only."""
        Sacrifice(self.spool, self.key, replace(LOOSE, windows=windows)).make_room(START_S)

    @rule()
    def kill_9(self) -> None:
        """The process ends anywhere."""
        self.crash()
        self.open()

    @rule(place=st.floats(0, 1), bit=st.integers(0, 7))
    def damage(self, place: float, bit: int) -> None:
        """A bit of the file or of its log is another after the crash."""
        victim = max(self.crash(), key=lambda file: file.stat().st_size)
        data = bytearray(victim.read_bytes())
        data[int(place * (len(data) - 1))] ^= 1 << bit
        victim.write_bytes(data)
        self.open()

    @precondition(lambda self: self.round > 0)
    @rule(age=st.integers(1, 3))
    def old_copy(self, age: int) -> None:
        """Somebody puts back the spool of an earlier round, and not the mark."""
        self.crash()
        backup = self.folder / str(max(0, self.round - age))
        for name in ("spool.db", "spool.db-wal"):
            (self.path.parent / name).unlink(missing_ok=True)
            if (backup / name).exists():
                shutil.copy(backup / name, self.path.parent / name)
        self.open()

    def look(self) -> None:
        """Note all that could be sent now; under one number there is only ever one record."""
        for envelope in self.spool.pending(0, 1_000_000):
            place = Place(self.spool.stream, envelope.seq)
            assert self.seen.setdefault(place, envelope.payload) == envelope.payload

    @invariant()
    def the_chain_holds(self) -> None:
        """From the floor on there is no gap in the numbers, and each payload follows the head before it."""
        head, seq = self.spool.head_at(self.spool.receipted), self.spool.floor
        for envelope in self.spool.pending(0, 1_000_000):
            seq += 1
            head = self.spool.head_at(seq - 1) or head
            assert head is not None
            assert envelope.seq == seq
            assert chain.next_head(head, envelope.payload) == self.spool.head_at(seq)
        assert seq == self.spool.last_seq

    @invariant()
    def nothing_vanishes(self) -> None:
        """What is not kept was confirmed, or lies in a signed gap, or in a stream whose end is declared."""
        self.look()
        messages = {place: wire.decode(payload) for place, payload in self.seen.items()}
        gaps = [message for message in messages.values() if isinstance(message, wire.Gap)]
        gone = {Place(gap.stream, seq) for gap in gaps for seq in range(gap.from_seq, gap.through_seq + 1)}
        declared = {
            message.data["stream"]
            for message in messages.values()
            if isinstance(message, wire.Event) and message.event == "spool_corrupt"
        }
        for place in messages:
            kept = place.stream == self.spool.stream and place.seq > self.spool.floor
            confirmed = place.seq <= self.confirmed.get(place.stream, 0)
            assert kept or confirmed or place in gone or place.stream in declared, place

    @invariant()
    def gaps_keep_the_energy(self) -> None:
        """A gap says what the summaries of its range said, whatever it was joined of."""
        messages = {place: wire.decode(payload) for place, payload in self.seen.items()}
        for gap in messages.values():
            if isinstance(gap, wire.Gap):
                lost = [messages[Place(gap.stream, seq)] for seq in range(gap.from_seq, gap.through_seq + 1)]
                said = sum(m.active_power_w or 0.0 for m in lost if isinstance(m, wire.Summary)) / 4
                assert sum(total.load_wh for total in gap.totals) == pytest.approx(said), json.dumps(gap.records)

    @invariant()
    def the_alarm_is_known(self) -> None:
        """Its newest state is kept or confirmed, unless damage took it."""
        messages = {
            place: wire.decode(payload) for place, payload in self.seen.items() if place.stream == self.spool.stream
        }
        alarms = [message for message in messages.values() if isinstance(message, wire.Alarm)]
        if alarms:
            newest = max(alarms, key=lambda alarm: alarm.time_s)
            waits = [alarm for alarm in alarms if alarm.seq > self.spool.floor]
            assert (
                newest.state in {alarm.state for alarm in waits}
                or newest.seq <= self.spool.receipted
                or any(alarm.time_s == newest.time_s and alarm.seq <= self.spool.receipted for alarm in alarms)
            )


SpoolStory.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
test_a_story_of_a_spool = SpoolStory.TestCase
