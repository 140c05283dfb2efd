"""From configuration to a poller: profiles become plans, URLs become buses."""

from dataclasses import replace
from random import Random

from agent.acquire.bus.bus import open_bus
from agent.acquire.bus.line import Line, line_of
from agent.acquire.codec import with_transformers
from agent.acquire.learn.book import LEARNED_FILE, LearnedBook
from agent.acquire.learn.learned import NOTHING, Learned
from agent.acquire.poll.polled_meter import MeterPlan, OnLesson
from agent.acquire.poll.poller import BusPlan, Poller
from agent.acquire.profiles.profile import find_profile
from agent.config import GatewayConfig, MeterConfig
from agent.records import MeterProfile, Register, Tier


def make_poller(
    config: GatewayConfig,
    random: Random,
    *,
    on_lesson: OnLesson = lambda meter, learned: None,
    simulated: bool = False,
) -> Poller:
    """Make the poller of a gateway; nothing is connected before the first poll. Raises InputError.

    What the plans learned before is read from the state folder, and what they learn is kept there.
    ``simulated`` meters in fast motion need no pause between requests: it would be real time.
    """
    profiles = {meter.profile: find_profile(meter.profile) for meter in config.meters}
    urls = {bus.name: bus.url for bus in config.buses}
    keys = {meter.id: (urls[meter.bus], meter.unit, profiles[meter.profile].digest) for meter in config.meters}
    poll = config.poll
    book = LearnedBook(config.state_dir / LEARNED_FILE)

    def plan_of(meter: MeterConfig) -> MeterPlan:
        profile = with_transformers(profiles[meter.profile], meter.ct_ratio, meter.vt_ratio)
        if simulated:
            profile = replace(profile, min_gap_ms=0.0)
        if poll.slow_period_s <= poll.period_s:
            profile = replace(profile, registers=tuple(map(_each_tick, profile.registers)))
        return meter_plan(meter.id, meter.unit, profile, line_of(urls[meter.bus]), book.get(*keys[meter.id]))

    def keep(meter: str, learned: Learned) -> None:
        book.put(*keys[meter], learned)
        on_lesson(meter, learned)

    buses = [
        BusPlan(
            name=bus.name,
            bus=open_bus(bus.url, bus.timeout_s),
            retries=bus.retries,
            meters=tuple(plan_of(meter) for meter in config.meters if meter.bus == bus.name),
        )
        for bus in config.buses
    ]
    return Poller(buses, period_s=poll.period_s, slow_period_s=poll.slow_period_s, random=random, on_lesson=keep)


def meter_plan(meter: str, unit: int, profile: MeterProfile, line: Line, learned: Learned = NOTHING) -> MeterPlan:
    """Plan one meter."""
    return MeterPlan(id=meter, unit=unit, profile=profile, line=line, learned=learned)


def _each_tick(register: Register) -> Register:
    """Give what is due on every tick to the fast tier, so that it shares the requests of that."""
    return replace(register, tier=Tier.FAST) if register.tier is Tier.SLOW else register
