"""What may stand in a configuration and is yet hard to believe: doubts for `flatwatt check`, in sentences."""

from collections.abc import Iterator, Sequence

from agent.acquire.bus.url import SerialAddress, parse_url
from agent.commission.load import BusLoad
from agent.config import GatewayConfig, MeterConfig, PollConfig
from agent.records import MeterProfile, Tier

_OWN_RATIOS = ("ct_ratio", "vt_ratio")


def doubts(config: GatewayConfig, loads: Sequence[BusLoad]) -> tuple[str, ...]:
    """Give the doubts about a sound configuration: buses too slow, ratios told twice, settings that do not meet."""
    meters = {meter.id: meter for meter in config.meters}
    found: list[str] = []
    for load in loads:
        found += _too_slow(load, config.poll)
        for planned in load.meters:
            found += _told_twice(meters[planned.meter], planned.profile)
            found += _other_setting(load, planned.meter, planned.profile)
    return (*found, *_wider_than_above(config))


def _too_slow(load: BusLoad, poll: PollConfig) -> Iterator[str]:
    share = load.utilisation(poll)
    if share > 1:
        yield (
            f'bus "{load.bus}" cannot carry its meters: one poll takes {load.tier_s(Tier.FAST):.2f} s and the period '
            f"is {poll.period_s:g} s, {share:.0%} in all; raise period_s, raise the baud rate or split the bus"
        )


def _told_twice(meter: MeterConfig, profile: MeterProfile) -> Iterator[str]:
    """Doubt a ratio that the meter holds as well: it, or its profile, multiplies by that already."""
    held = {*profile.quantities, *(name for register in profile.registers for name in register.multiply_by)}
    for key in _OWN_RATIOS:
        ratio = getattr(meter, key)
        if ratio != 1 and key in held:
            yield (
                f'meter "{meter.id}": {key} = {ratio:g} here comes on top of the {key} that the meter holds itself; '
                "see that one of them is 1"
            )


def _other_setting(load: BusLoad, meter: str, profile: MeterProfile) -> Iterator[str]:
    """Doubt a line whose setting is not the one with which a meter leaves its factory."""
    address = parse_url(load.url)
    if not isinstance(address, SerialAddress) or not profile.baud:
        return
    factory = (profile.baud, profile.parity or address.parity, profile.stopbits or address.stopbits)
    line = (address.baud, address.parity, address.stopbits)
    if factory != line:
        yield (
            f'meter "{meter}" leaves its factory with {_setting(*factory)}, and bus "{load.bus}" has '
            f"{_setting(*line)}; see that the meter was set to that"
        )


def _setting(baud: int, parity: str, stopbits: int) -> str:
    return f"{baud} baud 8{parity}{stopbits}"


def _wider_than_above(config: GatewayConfig) -> Iterator[str]:
    """Doubt a feeder that can carry more than the one that feeds it."""
    most_w = {meter.id: meter.max_power_w for meter in config.meters}
    for meter in config.meters:
        above_w = most_w.get(meter.parent or "")
        if meter.max_power_w is not None and above_w is not None and meter.max_power_w > above_w:
            own = f"max_power_w = {meter.max_power_w:g} is more than the {above_w:g}"
            yield f'meter "{meter.id}": {own} of "{meter.parent}", which feeds it; one of them is wrong'
