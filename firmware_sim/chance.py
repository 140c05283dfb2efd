"""Chance as a pure function of seed, name and time.

A restarted simulator, a replay and the truth must all see the same load, so nothing here has a
state: the values of a stretch of time come from a counter-based generator (Philox), keyed by
the name and counted by the stretch.
"""

import functools
import hashlib

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STRETCH = 1024  # values drawn at once: starting a generator costs as much as some hundred values


def _drawer(key: int, slot: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, slot]))


@functools.lru_cache(maxsize=1024)
def _draw(key: int, stretch: int, distribution: str, parameters: tuple[float, ...]) -> Floats:
    values = np.asarray(getattr(_drawer(key, stretch), distribution)(*parameters, size=_STRETCH), dtype=np.float64)
    values.flags.writeable = False
    return values


class Chance:
    """Random values of one thing, such as one load of one meter."""

    def __init__(self, *names: str | int) -> None:
        self._names = "/".join(map(str, names))

    def slots(self, channel: str, time_s: Floats, spacing_s: float, distribution: str, *parameters: float) -> Floats:
        """Give one value for each slot of ``spacing_s`` seconds, held over the slot.

        ``distribution`` is a method of ``numpy.random.Generator`` with its ``parameters``.
        """
        return self._pick(channel, np.floor(time_s / spacing_s).astype(np.int64), distribution, parameters)

    def smooth(self, channel: str, time_s: Floats, spacing_s: float) -> Floats:
        """Give noise of mean 0 and standard deviation 1 that forgets itself over ``spacing_s`` seconds."""
        position = time_s / spacing_s
        knot = np.floor(position).astype(np.int64)
        part = position - knot
        before = self._pick(channel, knot, "standard_normal", ())
        after = self._pick(channel, knot + 1, "standard_normal", ())
        mixed: Floats = ((1 - part) * before + part * after) / np.hypot(1 - part, part)
        return mixed

    def drawer(self, channel: str, slot: int) -> np.random.Generator:
        """Give a generator that draws the same values whenever it is made: as many as a thing in a slot needs."""
        return _drawer(self._key(channel), slot)

    def once(self, channel: str) -> float:
        """Give one uniform value in [0, 1) that never changes."""
        return float(_draw(self._key(channel), 0, "random", ())[0])

    def _key(self, channel: str) -> int:
        return int.from_bytes(hashlib.blake2b(f"{self._names}/{channel}".encode(), digest_size=16).digest(), "little")

    def _pick(self, channel: str, index: NDArray[np.int64], distribution: str, parameters: tuple[float, ...]) -> Floats:
        """Give the values at ``index``, however far in time they lie."""
        first, last = int(index.min()) // _STRETCH, int(index.max()) // _STRETCH
        key = self._key(channel)
        values = np.concatenate([_draw(key, n, distribution, parameters) for n in range(first, last + 1)])
        return values[index - first * _STRETCH]
