"""Where the time of a plan goes: each request in its parts, and the usual ways beside it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from agent.acquire.bus.line import Line
from agent.acquire.plan.heuristics import max_gap, one_a_value
from agent.acquire.plan.plan import bus_s
from agent.commission.load import BusLoad, MeterLoad
from agent.records import ReadRequest, Tier

GAPS = (1, 2, 4, 8, 16, 32, 50, 124)  # 50 is Telegraf's default, 124 all that a request can hold
_Way = Callable[[MeterLoad, Tier], tuple[ReadRequest, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCost:
    """One request of a meter, and the parts of its time: they add up to ``total_s``."""

    meter: MeterLoad
    tier: Tier
    request: ReadRequest
    wasted: int  # registers that it reads and nobody wants
    bytes_out: int
    bytes_in: int
    silence_s: float  # before the request, for the line or for the meter
    request_s: float
    turnaround_s: float  # assumed, until the meter is measured
    reply_s: float

    @property
    def total_s(self) -> float:
        """Give the bus time of the request."""
        return self.silence_s + self.request_s + self.turnaround_s + self.reply_s


@dataclass(frozen=True, slots=True, kw_only=True)
class WayCost:
    """What one way to read all meters of a bus costs: one poll of the fast tier, and every tier once."""

    way: str
    poll_requests: int
    poll_bytes: int
    poll_s: float
    full_requests: int
    full_bytes: int
    full_s: float


def request_costs(load: BusLoad) -> list[RequestCost]:
    """Give every request of a bus, meter by meter and tier by tier, in the order in which it is asked."""
    return [
        _request_cost(load.line, meter, tier, request)
        for meter in load.meters
        for tier, requests in meter.requests.items()
        for request in requests
    ]


def way_costs(load: BusLoad) -> list[WayCost]:
    """Compare the plan, which comes first, with the usual ways on the same bus and within the same limits."""
    line = load.line

    def ours(meter: MeterLoad, tier: Tier) -> tuple[ReadRequest, ...]:
        return meter.requests[tier]

    def single(meter: MeterLoad, tier: Tier) -> tuple[ReadRequest, ...]:
        return one_a_value(meter.learned.applied(meter.profile), meter.unit, (tier,), line)

    def across(gap: int) -> _Way:
        return lambda meter, tier: max_gap(meter.learned.applied(meter.profile), meter.unit, (tier,), line, gap)

    ways: dict[str, _Way] = {"flatwatt": ours, "one request a value": single}
    ways |= {f"gaps of at most {gap}": across(gap) for gap in GAPS}
    return [_way_cost(load, name, way) for name, way in ways.items()]


def _request_cost(line: Line, meter: MeterLoad, tier: Tier, request: ReadRequest) -> RequestCost:
    wanted = {a for r in request.registers for a in range(r.address, r.address + r.count)}
    return RequestCost(
        meter=meter,
        tier=tier,
        request=request,
        wasted=request.count - len(wanted),
        bytes_out=line.request_bytes,
        bytes_in=line.reply_bytes + 2 * request.count,
        silence_s=max(line.silence_s, request.min_gap_s),
        request_s=line.request_s,
        turnaround_s=line.turnaround_s,
        reply_s=line.reply_s(request.count),
    )


def _way_cost(load: BusLoad, name: str, way: _Way) -> WayCost:
    poll = [request for meter in load.meters for request in way(meter, Tier.FAST)]
    full = [request for meter in load.meters for tier in Tier for request in way(meter, tier)]
    return WayCost(
        way=name,
        poll_requests=len(poll),
        poll_bytes=_bytes(load.line, poll),
        poll_s=bus_s(poll, load.line),
        full_requests=len(full),
        full_bytes=_bytes(load.line, full),
        full_s=bus_s(full, load.line),
    )


def _bytes(line: Line, requests: Iterable[ReadRequest]) -> int:
    return sum(line.request_bytes + line.reply_bytes + 2 * request.count for request in requests)
