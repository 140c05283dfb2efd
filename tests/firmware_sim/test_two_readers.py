"""The agent and the simulator read each shipped profile with code of their own: they must mean the same."""

import struct
from collections.abc import Callable

import pytest

from agent.acquire.bus.line import Line
from agent.acquire.codec import decode_poll
from agent.acquire.plan.plan import plan
from agent.acquire.profiles.profile import find_profile
from agent.records import ReadRequest, Tier
from firmware_sim.device import Device
from firmware_sim.profile import METERS
from firmware_sim.registers import MAX_REGISTERS
from firmware_sim.site import Site
from firmware_sim.testing import StillClock

AT_S = 1_767_571_200.0 + 36 * 3600  # noon of the second day
LOADS = {
    "consuming": '[[meter.load]]\nkind = "constant"\npower_w = 7_000\npf = 0.9\n',
    "generating": '[[meter.load]]\nkind = "pv"\npeak_w = 9_000\n',
}
SUNSPEC_AT = 40_000 + 2 + 2 + 66  # after "SunS" and the common model


def ask(device: Device, request: ReadRequest) -> tuple[int, ...]:
    """Give the words of an answer."""
    reply = device.answer(struct.pack(">BHH", request.function, request.address, request.count))
    assert reply[0] == request.function, f"{request.address:#06x}+{request.count}: exception {reply[1]}"
    return struct.unpack(f">{request.count}H", reply[2:])


@pytest.mark.parametrize("flow", LOADS)
@pytest.mark.parametrize("name", sorted(path.stem for path in METERS.glob("*.toml")))
def test_what_flows_is_what_the_agent_reads(scenario: Callable[..., object], name: str, flow: str) -> None:
    """Planned, answered and decoded, each quantity is within a thousandth of what flows, or of its register's end."""
    profile = find_profile(name)
    site = Site(scenario(LOADS[flow], profile=name), StillClock(AT_S))  # type: ignore[arg-type]
    device = Device(site.plant, site.plant.feeders["m1"], site.clock)
    requests = plan(profile, 1, tuple(Tier), Line.tcp(), SUNSPEC_AT if profile.sunspec else 0)

    replies = [ask(device, request) for request in requests]
    parameters = decode_poll(requests, replies, {}).values  # ratios, which may come later than what they multiply
    values = decode_poll(requests, replies, parameters).values

    assert max(request.count for request in requests) <= MAX_REGISTERS
    for quantity, true in site.values("m1").items():
        register = next(register for register in profile.registers if register.name == quantity)
        if register.dtype[0] == "u" and not register.minus and true < 0:
            continue  # a meter that knows one direction only
        digit = 0.0 if register.dtype[0] == "f" else abs(register.scale)
        assert values[quantity] == pytest.approx(true, rel=1e-3, abs=10 * digit), quantity
