"""Simulated meters for tests of whatever reads meters.

    from firmware_sim.testing import one_bus, simulated_meters

    def test_my_client():
        with simulated_meters(one_bus("eastron_sdm630", power_w=1234)) as meters:
            assert read_power(meters.url()) == meters.values("m1")["active_power_w"]
            with meters.fault("m1", "delay", delay_s=3):
                ...

The meters live in a thread of the test's process and are gone at the end of the ``with``. See
docs/simulator.md; with pytest there is also the fixture ``flatwatt_meters``.
"""

import asyncio
import threading
import tomllib
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from firmware_sim.clock import Clock, PacedClock, StillClock
from firmware_sim.errors import SimError
from firmware_sim.faults.base import Fault
from firmware_sim.faults.making import told
from firmware_sim.scenario import Scenario, find, read_scenario, scenario_of
from firmware_sim.site import Site, open_site
from firmware_sim.truth import as_json

__all__ = ["Meters", "SimError", "StillClock", "one_bus", "simulated_meters"]

_MONDAY_S = 1_767_571_200.0  # 2026-01-05T00:00Z, when a scenario that does not say it begins
_PATIENCE_S = 60.0  # far above what the largest scenario takes to start
T = TypeVar("T")


def one_bus(*profiles: str, url: str = "tcp://127.0.0.1:0", power_w: float = 1000.0) -> str:
    """Write a scenario: meters ``m1``, ``m2`` ... with units 1, 2 ... on one bus, each with a constant load."""
    text = f'[scenario]\nname = "test"\n[[bus]]\nname = "bus"\nurl = "{url}"\n'
    for unit, profile in enumerate(profiles, start=1):
        text += f'[[meter]]\nid = "m{unit}"\nbus = "bus"\nunit = {unit}\nprofile = "{profile}"\n'
        text += f'[[meter.load]]\nkind = "constant"\npower_w = {power_w}\n'
    return text


@contextmanager
def simulated_meters(scenario: str | Path, clock: Clock | None = None) -> Iterator["Meters"]:
    """Serve a scenario: its text, its file, or the name of one that ships; raise SimError where it is wrong.

    The time begins at the scenario's start and runs as the real one, unless a ``clock`` is given,
    such as a ``StillClock`` that the test moves.
    """
    read = _read(scenario)
    thread = _Thread()
    try:
        site = thread.run(open_site(read, clock or PacedClock(read.start_s, 1.0), real_time=clock is None))
        try:
            yield Meters(site, read, thread)
        finally:
            thread.run(site.close())
    finally:
        thread.end()


def _read(scenario: str | Path) -> Scenario:
    if isinstance(scenario, str) and "\n" in scenario:
        try:
            return scenario_of(tomllib.loads(scenario), "scenario", Path(), _MONDAY_S)
        except tomllib.TOMLDecodeError as error:
            raise SimError(f"scenario: {error}") from None
    return read_scenario(find(str(scenario)), _MONDAY_S)


class _Thread:
    """A thread with an event loop, so that tests need none, or may have their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="flatwatt meters", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the thread; give its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_S)

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function in the thread; give its result."""

        async def call() -> T:
            return function(*arguments)

        return self.run(call())

    def end(self) -> None:
        """Stop the loop and wait for the thread."""
        self.run(asyncio.sleep(0))  # connections that were hung up on end now
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        self._loop.close()


class Meters:
    """Meters that answer, as a test sees them."""

    def __init__(self, site: Site, scenario: Scenario, thread: _Thread) -> None:
        self._site, self._scenario, self._thread = site, scenario, thread

    @property
    def urls(self) -> dict[str, str]:
        """The addresses of the buses by their names."""
        return self._site.urls

    def url(self, bus: str = "") -> str:
        """Give the address of a bus; of the first, where none is named."""
        return self.urls[bus or self._scenario.buses[0].name]

    def now_s(self) -> float:
        """Give the simulated time, UTC seconds since 1970."""
        return self._site.clock.now_s()

    def values(self, meter: str) -> dict[str, float]:
        """Give what the registers of a meter say now, in SI units by quantity, before they are rounded to words."""
        return self._thread.call(self._site.values, meter)

    def truth(self) -> dict[str, Any]:
        """Give what is truly so from the scenario's start until now, as ``flatwatt sim --truth --json`` does."""
        return self._thread.call(as_json, self._site.plant, self.now_s())

    def fault(self, name: str, kind: str, **keys: object) -> "RunningFault":
        """Let something go wrong with a meter, or with all at a bus, until it is cleared; raise SimError if it cannot.

        ``kind`` and ``keys`` are those of ``[[meter.fault]]`` in docs/simulator.md.
        """
        fault = self._thread.call(self._site.start_fault, name, kind, keys)
        return RunningFault(lambda: self._thread.call(self._site.end_fault, name, fault), fault)

    def clear(self, name: str) -> None:
        """Put everything right with a meter, or with all at a bus."""
        self._thread.call(self._site.end_fault, name)


class RunningFault:
    """Something that is wrong until ``clear``, or until the end of a ``with``."""

    def __init__(self, clear: Callable[[], None], fault: Fault) -> None:
        self._clear, self._fault = clear, fault

    def clear(self) -> None:
        """Put it right."""
        self._clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def __repr__(self) -> str:
        return f"<running {told(self._fault)}>"
