"""All meters of a scenario, answering on their buses, and what goes wrong with them."""

import asyncio
from collections.abc import Mapping
from random import Random

from firmware_sim.clock import Clock
from firmware_sim.device import Device
from firmware_sim.errors import SimError
from firmware_sim.faults.base import Fault
from firmware_sim.faults.book import FaultBook
from firmware_sim.faults.making import new_fault
from firmware_sim.feeder import BLOCK
from firmware_sim.fields import did_you_mean
from firmware_sim.plant import Plant
from firmware_sim.scenario import BusSpec, MeterSpec, Scenario
from firmware_sim.server import Bus, open_bus
from firmware_sim.station import Nobody, Station, Units

_TURNAROUND_S = 0.02  # of an electricity meter on a serial line, typical: it measures first and answers then
_AHEAD_STEPS = 100  # before the next page of registers is due


class Site:
    """Meters and open buses. ``urls`` are the addresses of the buses by name, with the ports that were free."""

    def __init__(self, scenario: Scenario, clock: Clock) -> None:
        self.plant, self.clock = Plant(scenario), clock
        self._scenario = scenario
        self._buses: dict[str, Bus] = {}
        self._devices: list[Device] = []
        self._units: list[Units] = []
        self._looking_ahead: asyncio.Task[None] | None = None
        self._gateways = {bus.name: FaultBook(bus.faults) for bus in scenario.buses}

    @property
    def urls(self) -> dict[str, str]:
        """The addresses by name of the bus."""
        return {name: bus.url for name, bus in self._buses.items()}

    async def open(self, real_time: bool) -> None:
        """Build the meters and serve them; raise SimError where a profile or an address does not serve."""
        stations = {}
        paced = {bus.name: _is_paced(bus, real_time) for bus in self._scenario.buses}
        for meter in self._scenario.meters:
            self.plant.feeders[meter.id].check()
            stations[meter.id] = self._station(meter, paced[meter.bus])
        for bus in self._scenario.buses:
            present = [stations[meter.id] for meter in self._scenario.meters if meter.bus == bus.name]
            nobody = self._nobody(bus) if bus.url.startswith("tcp") else None
            units = Units(present, nobody)
            self._units.append(units)
            self._buses[bus.name] = await open_bus(bus.url, units, paced[bus.name])
        if real_time:
            self._looking_ahead = asyncio.create_task(self._look_ahead())

    async def _look_ahead(self) -> None:
        """Make the registers that are due next, one meter at a time: all at once would keep clients waiting."""
        ahead_s = _AHEAD_STEPS * self._scenario.step_s
        while True:
            for device in self._devices:
                device.prepare(ahead_s)
                await asyncio.sleep(ahead_s / 2 / len(self._devices))

    def _station(self, meter: MeterSpec, paced: bool) -> Station:
        feeder = self.plant.feeders[meter.id]
        device = Device(self.plant, feeder, self.clock)
        device.prepare()
        self._devices.append(device)
        usual_s = _TURNAROUND_S if paced else 0.0
        return Station(
            unit=meter.unit,
            device=device,
            faults=feeder.faults,
            clock=self.clock,
            chance=Random(f"{self._scenario.seed}/{meter.id}"),  # noqa: S311 - noise, no secret
            turnaround_s=usual_s if meter.turnaround_ms is None else meter.turnaround_ms / 1000,
            min_gap_s=meter.registers.min_gap_ms / 1000,
        )

    def _nobody(self, bus: BusSpec) -> Station:
        chance = Random(f"{self._scenario.seed}/{bus.name}")  # noqa: S311
        return Station(unit=0, device=Nobody(), faults=self._gateways[bus.name], clock=self.clock, chance=chance)

    def start_fault(self, name: str, kind: str, keys: Mapping[str, object]) -> Fault:
        """Let something go wrong from now on with a meter, or with all at a bus; raise SimError where it cannot."""
        fault = new_fault(kind, keys, self.clock.now_s())
        feeders = [feeder for feeder in self.plant.feeders.values() if name in (feeder.meter.id, feeder.meter.bus)]
        for feeder in feeders:
            feeder.check_fault(fault)
        for book in self._books(name):
            book.add(fault)
        self._have_changed()
        return fault

    def end_fault(self, name: str, fault: Fault | None = None) -> None:
        """Put one thing right, or all."""
        now_s = self.clock.now_s()
        for book in self._books(name):
            for each in book.on(now_s):
                if fault in (None, each):
                    book.end(each, now_s)
        self._have_changed()

    def _have_changed(self) -> None:
        self.plant.recount(self.clock.now_s())
        for units in self._units:
            units.look_again()

    def faults(self) -> dict[str, tuple[Fault, ...]]:
        """Give what is wrong now, by meter and bus."""
        now_s = self.clock.now_s()
        books = {id_: feeder.faults for id_, feeder in self.plant.feeders.items()} | self._gateways
        return {name: book.on(now_s) for name, book in books.items() if book.on(now_s)}

    def values(self, meter: str) -> dict[str, float]:
        """Give what the registers of a meter say now, in SI units by quantity."""
        feeder = self.plant.feeders[meter]
        block, row = divmod(self.plant.step_of(feeder.faults.shown_s(self.clock.now_s())), BLOCK)
        values = feeder.values(block)
        return {entry.name: float(values[entry.name][row]) for entry in feeder.nameplate.profile.entries}

    def _books(self, name: str) -> list[FaultBook]:
        """Give the faults of a meter by its id, or of all at a bus by its name; raise SimError where there is none."""
        if name in self.plant.feeders:
            return [self.plant.feeders[name].faults]
        if name in self._gateways:
            at_bus = [self.plant.feeders[meter.id].faults for meter in self._scenario.meters if meter.bus == name]
            return [self._gateways[name], *at_bus]
        known = [*self.plant.feeders, *self._gateways]
        raise SimError(f"{name!r}: no such meter or bus; there are {', '.join(known)}{did_you_mean(name, known)}")

    async def close(self) -> None:
        """Close every bus."""
        if self._looking_ahead is not None:
            self._looking_ahead.cancel()
        while self._buses:
            _, bus = self._buses.popitem()
            await bus.close()


def _is_paced(bus: BusSpec, real_time: bool) -> bool:
    return not bus.url.startswith("tcp") and (real_time if bus.paced is None else bus.paced)


async def open_site(scenario: Scenario, clock: Clock, real_time: bool = False) -> Site:
    """Build the meters and serve them; raise SimError where a profile or an address does not serve.

    Where the clock runs with ``real_time``, serial lines take the time that real ones take.
    """
    site = Site(scenario, clock)
    try:
        await site.open(real_time)
    except SimError:
        await site.close()
        raise
    return site
