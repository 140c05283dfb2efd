"""How full the buses of a gateway are: every meter's plan, and what it takes of its bus."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.acquire.bus.line import Line, line_of
from agent.acquire.learn.book import LEARNED_FILE, LearnedBook
from agent.acquire.learn.learned import NOTHING, Learned
from agent.acquire.plan.plan import bus_s, plan
from agent.acquire.profiles.profile import find_profile
from agent.config import GatewayConfig, PollConfig
from agent.records import MeterProfile, ReadRequest, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterLoad:
    """One meter's requests, by tier."""

    meter: str
    unit: int
    profile: MeterProfile
    learned: Learned  # what the requests respect beyond the profile
    requests: Mapping[Tier, tuple[ReadRequest, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BusLoad:
    """The meters of one bus."""

    bus: str
    url: str
    line: Line
    meters: tuple[MeterLoad, ...]

    def tier_s(self, tier: Tier) -> float:
        """Give the time that reading one tier of all meters takes."""
        return sum(bus_s(meter.requests[tier], self.line) for meter in self.meters)

    def utilisation(self, poll: PollConfig) -> float:
        """Give the share of the time that the bus is busy, without retries; above 1 it cannot carry the plan."""
        return self.tier_s(Tier.FAST) / poll.period_s + self.tier_s(Tier.SLOW) / poll.slow_period_s

    def shortest_period_s(self, slow_period_s: float) -> float:
        """Give the poll period at which the bus would never rest; infinite where the slow tier alone is too much."""
        left = 1 - self.tier_s(Tier.SLOW) / slow_period_s
        return self.tier_s(Tier.FAST) / left if left > 0 else float("inf")


def meter_load(meter: str, unit: int, profile: MeterProfile, line: Line, learned: Learned = NOTHING) -> MeterLoad:
    """Plan one meter, by its profile and by what was learned of it."""
    requests = {tier: plan(learned.applied(profile), unit, (tier,), line) for tier in Tier}
    return MeterLoad(meter=meter, unit=unit, profile=profile, learned=learned, requests=requests)


def gateway_load(config: GatewayConfig) -> tuple[BusLoad, ...]:
    """Plan every meter of a gateway as its daemon would. Raises InputError when a profile of one's own is wrong."""
    book = LearnedBook(config.state_dir / LEARNED_FILE)
    profiles = {meter.profile: find_profile(meter.profile) for meter in config.meters}
    loads = []
    for bus in config.buses:
        line = line_of(bus.url)
        planned = []
        for meter in config.meters:
            if meter.bus == bus.name:
                profile = profiles[meter.profile]
                learned = book.get(bus.url, meter.unit, profile.digest)
                planned.append(meter_load(meter.id, meter.unit, profile, line, learned))
        loads.append(BusLoad(bus=bus.name, url=bus.url, line=line, meters=tuple(planned)))
    return tuple(loads)
