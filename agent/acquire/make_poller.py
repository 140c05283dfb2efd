"""From configuration to a poller: profiles become plans, URLs become buses."""

from collections.abc import Collection
from random import Random

from agent.acquire.bus import open_bus
from agent.acquire.codec import with_transformers
from agent.acquire.line import Line, line_of
from agent.acquire.plan import plan
from agent.acquire.polled_meter import MeterPlan
from agent.acquire.poller import BusPlan, Poller
from agent.acquire.profile import find_profile
from agent.config import BusConfig, GatewayConfig
from agent.records import MeterProfile, ReadRequest, Tier


def make_poller(config: GatewayConfig, random: Random) -> Poller:
    """Make the poller of a gateway; nothing is connected before the first poll. Raises InputError."""
    profiles = {meter.profile: find_profile(meter.profile) for meter in config.meters}
    buses = [_bus_plan(bus, config, profiles) for bus in config.buses]
    return Poller(buses, period_s=config.poll.period_s, slow_period_s=config.poll.slow_period_s, random=random)


def meter_plan(meter: str, unit: int, profile: MeterProfile, line: Line) -> MeterPlan:
    """Plan one meter for any set of tiers."""

    def requests(tiers: Collection[Tier]) -> tuple[ReadRequest, ...]:
        return plan(profile, unit, tiers, line)

    return MeterPlan(id=meter, requests=requests)


def _bus_plan(bus: BusConfig, config: GatewayConfig, profiles: dict[str, MeterProfile]) -> BusPlan:
    line = line_of(bus.url)
    meters = tuple(
        meter_plan(
            meter.id, meter.unit, with_transformers(profiles[meter.profile], meter.ct_ratio, meter.vt_ratio), line
        )
        for meter in config.meters
        if meter.bus == bus.name
    )
    return BusPlan(name=bus.name, bus=open_bus(bus.url, bus.timeout_s), retries=bus.retries, meters=meters)
