"""Machines: takes windows of a poll period up to two seconds, tells what they say of mining machines.

Use: ``take`` each inspected window in order; once a day, ``signs(day)`` and then ``weigh`` of
:mod:`agent.analyse.machines.weigh` give log-odds that hold without any history: a farm older than
the recording is found by them alone.
"""

import logging
from collections import deque
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from agent.analyse.features.robust import Floats, ratio
from agent.analyse.machines.bins import BIN_S, MAX_PERIOD_S
from agent.analyse.machines.drop import Drop, log_ratio
from agent.analyse.machines.edges import Edge
from agent.analyse.machines.quantum import CLEARLY_NONE
from agent.analyse.machines.returns import AFTER, Wandering
from agent.analyse.machines.signs import DAYS, NAMES, of_meter
from agent.analyse.machines.track import Track
from agent.records import Window

logger = logging.getLogger(__name__)

_DAY_S = 86_400
_LEAST_W = 1150.0  # a machine of the smallest kind still run (S9, 1,400 W), with its tolerance
_MOST_W = 6500.0  # the largest (S21+ hydro, 4,785 W) with its tolerance, and some of another
_MOST_DROPS = 300  # kept of a meter: a farm of sixty machines in a week; of more, the newest
_TOLD_APART = 0.2  # error of tan phi that still tells a supply from a motor
_LOOK_BINS = 100  # ten minutes between looks at the usual wandering
_KNOWN, _ENERGY, _NONE = range(
    3
)  # what a day's tally counts: bins, W summed over them, drops that are clearly no reboot


class _State(msgspec.Struct):
    meters: list[str]
    drops: list[list[tuple[float, float, float, float, float]]]
    shape: list[list[list[float]]]
    size_w: list[list[float]]
    looks: list[list[float]]
    tally: dict[int, list[list[float]]]


class Machines:
    """The evidence of the seconds of one gateway's meters; ``state`` is all that outlives a restart."""

    def __init__(self, meters: Sequence[str], state: bytes = b"") -> None:
        self._meters = tuple(meters)
        self._track = Track(len(self._meters))
        self._wandering = Wandering(len(self._meters))
        self._drops: list[deque[Drop]] = [deque(maxlen=_MOST_DROPS) for _ in self._meters]
        self._tally: dict[int, Floats] = {}  # day -> (3, meters)
        kept = _decode(state) if state else None
        if kept is not None:
            self._restore(kept)

    def take(self, window: Window) -> None:
        """Take the next window; one of a longer poll period says nothing here."""
        if window.period_s > MAX_PERIOD_S or window.window_s % BIN_S:
            return
        track = self._track
        before = track.seen
        track.add(window)
        self._count(window.start_s // _DAY_S, track.newest_w)
        for row, edges in enumerate(track.edges):
            for edge in edges:
                if before < edge.bin + AFTER <= track.seen and edge.step_w < 0 and not edge.is_remnant:
                    self._judge(row, edge)
        self._look(max(before - AFTER, track.first), track.seen - AFTER)

    def _count(self, day: int, power: Floats) -> None:
        """Add the newest bins to the day's tally."""
        tally = self._today(day)
        known = np.isfinite(power)
        tally[_KNOWN] += known.sum(axis=-1)
        tally[_ENERGY] += np.where(known, power, 0.0).sum(axis=-1)

    def _today(self, day: int) -> Floats:
        if day not in self._tally:
            self._tally = {old: tally for old, tally in self._tally.items() if day - DAYS <= old <= day + 1}
            self._tally[day] = np.zeros((3, len(self._meters)))
        return self._tally[day]

    def _judge(self, row: int, edge: Edge) -> None:
        """Weigh a drop whose twenty minutes are over."""
        time_s = edge.bin * BIN_S
        usual = self._wandering.covariance(row, _hour(time_s))
        change = self._track.rises(edge.bin)[row]
        if usual is None or not np.isfinite(change).all() or not _LEAST_W <= -edge.step_w <= _MOST_W:
            return
        ratio = log_ratio(edge, change, usual)
        if ratio < CLEARLY_NONE:
            self._today(int(time_s // _DAY_S))[_NONE, row] += 1
        else:
            tan_phi = edge.tan_phi if edge.tan_error < _TOLD_APART else np.nan
            self._drops[row].append(Drop(time_s, -edge.step_w, edge.noise_w, tan_phi, ratio))

    def _look(self, after: int, through: int) -> None:
        """Learn the usual wandering from instants on a grid of ten minutes."""
        for start in range((after // _LOOK_BINS + 1) * _LOOK_BINS, through + 1, _LOOK_BINS):
            self._wandering.add(_hour(start * BIN_S), self._track.rises(start))

    def signs(self, day: int) -> Mapping[str, Floats]:
        """Give the evidence of the seven days through ``day``, each (meters,); :mod:`signs` says what they mean."""
        tallies = [tally for number, tally in self._tally.items() if day - DAYS < number <= day]
        known, energy, none = np.sum(tallies, axis=0) if tallies else np.zeros((3, len(self._meters)))
        rows = [
            of_meter([drop for drop in drops if day - DAYS < drop.time_s // _DAY_S <= day], *of_row)
            for drops, *of_row in zip(self._drops, none, known * BIN_S / _DAY_S, ratio(energy, known), strict=True)
        ]
        return {name: np.array([row[name] for row in rows]) for name in NAMES}

    @property
    def state(self) -> bytes:
        """All that must survive a restart; the open half hour is lost."""
        drops = [[(d.time_s, d.drop_w, d.noise_w, d.tan_phi, d.log_ratio) for d in row] for row in self._drops]
        tally = {day: counts.tolist() for day, counts in self._tally.items()}
        usual = self._wandering
        kept = _State(
            meters=list(self._meters),
            drops=drops,
            shape=usual.shape.tolist(),
            size_w=usual.size_w.tolist(),
            looks=usual.looks.tolist(),
            tally=tally,
        )
        return msgspec.msgpack.encode(kept)

    def _restore(self, kept: _State) -> None:
        """Take up the state of meters that are still there; new meters begin anew."""
        self._tally = {day: np.zeros((3, len(self._meters))) for day in kept.tally}
        for row, meter in enumerate(self._meters):
            if meter not in kept.meters:
                continue
            old = kept.meters.index(meter)
            self._drops[row].extend(Drop(*numbers) for numbers in kept.drops[old])
            self._wandering.shape[row] = kept.shape[old]
            self._wandering.size_w[row] = kept.size_w[old]
            self._wandering.looks[row] = kept.looks[old]
            for day, counts in kept.tally.items():
                self._tally[day][:, row] = np.array(counts)[:, old]


def _hour(time_s: float) -> int:
    return int(time_s % _DAY_S // 3600)


def _decode(state: bytes) -> _State | None:
    """Read a state; None where it is none: the week's evidence then gathers anew."""
    try:
        return msgspec.msgpack.decode(state, type=_State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        logger.warning("the machines' state cannot be read (%s); their evidence gathers anew", error)
        return None
