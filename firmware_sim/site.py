"""All meters of a scenario, answering on their buses."""

from firmware_sim.clock import Clock
from firmware_sim.device import Device
from firmware_sim.errors import SimError
from firmware_sim.plant import Plant
from firmware_sim.scenario import Scenario
from firmware_sim.server import Bus, open_bus


class Site:
    """Open buses; ``urls`` are their addresses by name, with the ports that were free."""

    def __init__(self) -> None:
        self._buses: dict[str, Bus] = {}

    @property
    def urls(self) -> dict[str, str]:
        """The addresses by name of the bus."""
        return {name: bus.url for name, bus in self._buses.items()}

    def add(self, name: str, bus: Bus) -> None:
        """Take an open bus in."""
        self._buses[name] = bus

    async def close(self) -> None:
        """Close every bus."""
        while self._buses:
            _, bus = self._buses.popitem()
            await bus.close()


async def open_site(scenario: Scenario, clock: Clock) -> Site:
    """Build the meters and serve them; raise SimError where a profile or an address does not serve."""
    plant = Plant(scenario)
    devices = {}
    for meter in scenario.meters:
        feeder = plant.feeders[meter.id]
        feeder.check()
        device = Device(plant, feeder, clock)
        device.prepare()
        devices[meter.id] = device
    site = Site()
    try:
        for bus in scenario.buses:
            units = {meter.unit: devices[meter.id] for meter in scenario.meters if meter.bus == bus.name}
            site.add(bus.name, await open_bus(bus.url, units))
    except SimError:
        await site.close()
        raise
    return site
