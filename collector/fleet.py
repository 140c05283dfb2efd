"""The state of the fleet: who mines, how much, what share, and how that is summed. The types are the page's API.

The rules of summing, in this one place:

- **Mining adds up.** A gateway judges a meter by what the meters below it do not see
  (docs/decisions/0007), so each watt of mining is told once: a site's mining is the sum over its
  load meters. Summed p10 and p90 bound the sum from outside: wider than 80 %, never narrower.
- **A site's load** is what it consumes: the latest mean power at its top-level load meters (a
  silent one is stood for by the meters below it) and what generation meters below them feed in.
  Its share is mining p50 over that load. A generation meter (PV) is no miner.
- **load_kwh** over the stored period: register steps from day to day where both readings are
  there and none ran backwards (a reset, a new meter), else mean power x window x coverage. The
  first day has no reading before it and is always integrated.
- **mining_kwh**: p50 x window over windows of good quality; a faulty window adds nothing. A start
  is known only days later: from there to the alarm, the alarm's p50 counts, up to what was measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent.deliver import wire
from agent.errors import EvidenceError
from agent.records import Verdict
from collector.store.reader import Reader, Row, reasons

CURVE_POINTS = 60  # what a sparkline can show
CURVE_S = 14 * 86_400  # two weeks show a calendar rhythm, or its absence
ALARMS, FINDINGS = 200, 100  # what a list shows at most

Watts = tuple[float, float, float]
NOTHING: Watts = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A meter by its newest window, and its energy over the stored period. None: not known."""

    meter: str
    name: str
    role: str
    parent: str | None
    declared: str | None
    verdict: str
    score: float
    quality: str
    active_power_w: float | None
    mining_w: Watts
    mining_share: float
    since_s: int | None
    load_kwh: float
    mining_kwh: float
    curve: list[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A gateway with its site and meters. ``state``: online, offline, or unknown before the first status."""

    gateway: str
    name: str
    site: str
    site_kind: str
    state: str
    clock: str
    last_s: int | None
    load_w: float | None
    mining_w: Watts
    mining_share: float
    meters: list[Meter]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmState:
    """An alarm as it stands."""

    gateway: str
    meter: str
    alarm: str
    state: str
    raised_s: int
    time_s: int
    verdict: str
    score: float
    mining_w: Watts
    mining_share: float
    since_s: int | None
    reasons: list[wire.Reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingState:
    """A contradiction between what arrived and what was signed; ``resolved_s`` where the true bytes came later."""

    gateway: str
    stream: str
    seq: int
    to_seq: int
    kind: str
    text: str
    time_s: int
    resolved_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything that the first page shows."""

    time_s: int
    sites: list[Site]
    alarms: list[AlarmState]
    findings: list[FindingState]


def fleet(reader: Reader, time_s: int) -> Fleet:
    """Give the state of the fleet, the largest mining load first."""
    status = {row["gateway"]: row["status"] for row in reader.gateways()}
    seen: dict[str, list[str]] = {gateway: [] for gateway in status}
    for gateway, meter in reader.meters():
        seen.setdefault(gateway, []).append(meter)
    sites = [_site(reader, gateway, _status(status.get(gateway)), meters) for gateway, meters in seen.items()]
    sites.sort(key=lambda site: (-site.mining_w[1], -(site.load_w or 0.0), site.gateway))
    return Fleet(time_s=time_s, sites=sites, alarms=alarms(reader), findings=findings(reader))


def alarms(reader: Reader) -> list[AlarmState]:
    """Give the alarms as they stand, open ones first."""
    return [alarm_state(row) for row in reader.alarms(ALARMS)]


def findings(reader: Reader) -> list[FindingState]:
    """Give the findings, open ones first."""
    return [FindingState(**dict(row)) for row in reader.findings(FINDINGS)]


def alarm_state(row: Row) -> AlarmState:
    """Give one alarm message as the API has it."""
    return AlarmState(
        gateway=row["gateway"],
        meter=row["meter"],
        alarm=row["alarm"],
        state=row["state"],
        raised_s=row["raised_s"],
        time_s=row["time_s"],
        verdict=row["verdict"],
        score=row["score"],
        mining_w=_mining(row),
        mining_share=row["mining_share"],
        since_s=row["since_s"],
        reasons=reasons(row),
    )


def one_meter(reader: Reader, gateway: str, meter: str) -> tuple[str, Meter] | None:
    """Give the site's name and the state of one meter; None where no window of it is stored."""
    row = reader.latest(gateway, meter)
    if row is None:
        return None
    status = next((_status(entry["status"]) for entry in reader.gateways() if entry["gateway"] == gateway), None)
    named = {entry.meter: entry for entry in status.meters} if status else {}
    return (status.site if status else ""), _meter(reader, gateway, meter, named.get(meter), row)


def _status(payload: bytes | None) -> wire.Status | None:
    """Read a stored status; one that another version wrote is as good as none."""
    try:
        message = None if payload is None else wire.decode(payload)
    except EvidenceError:
        return None
    return message if isinstance(message, wire.Status) else None


def _site(reader: Reader, gateway: str, status: wire.Status | None, seen: Sequence[str]) -> Site:
    named = {entry.meter: entry for entry in status.meters} if status else {}
    latest = {meter: reader.latest(gateway, meter) for meter in dict.fromkeys((*named, *seen))}
    meters = [_meter(reader, gateway, meter, named.get(meter), row) for meter, row in latest.items()]
    meters.sort(key=lambda meter: (-meter.mining_w[1], -(meter.active_power_w or 0.0), meter.meter))
    load_w, mining_w = site_load(meters), site_mining(meters)
    return Site(
        gateway=gateway,
        name=status.name if status else gateway,
        site=status.site if status else "",
        site_kind=status.site_kind if status else "",
        state=status.state if status else "unknown",
        clock=status.clock if status else "",
        last_s=max((row["start_s"] + row["window_s"] for row in latest.values() if row), default=None),
        load_w=load_w,
        mining_w=mining_w,
        mining_share=share(mining_w[1], load_w),
        meters=meters,
    )


def _meter(reader: Reader, gateway: str, meter: str, named: wire.MeterStatus | None, row: Row | None) -> Meter:
    days = reader.days(gateway, meter)
    mining_w = _mining(row) if row else NOTHING
    active_power_w = row["active_power_w"] if row else None
    return Meter(
        meter=meter,
        name=named.name if named else meter,
        role=named.role if named else "load",
        parent=named.parent if named else None,
        declared=named.declared if named else None,
        verdict=row["verdict"] if row else Verdict.INCONCLUSIVE,
        score=row["score"] if row else 0.0,
        quality=row["quality"] if row else "",
        active_power_w=active_power_w,
        mining_w=mining_w,
        mining_share=share(mining_w[1], active_power_w),
        since_s=row["since_s"] if row else None,
        load_kwh=load_wh(days) / 1000,
        mining_kwh=(sum(day["mining_wh"] for day in days) + reader.mining_before_alarm_wh(gateway, meter)) / 1000,
        curve=_curve(reader, gateway, row) if row else [],
    )


def _mining(row: Row) -> Watts:
    return row["mining_p10_w"], row["mining_p50_w"], row["mining_p90_w"]


def _curve(reader: Reader, gateway: str, newest: Row) -> list[float | None]:
    """Give up to 60 means over the last two weeks; a step without a window is None."""
    meter, window_s = newest["meter"], newest["window_s"]
    end_s = newest["start_s"] + window_s
    first_s = reader.first_s(gateway, meter, end_s - CURVE_S)
    if first_s is None:
        return []
    step_s = window_s * -(-(end_s - first_s) // (CURVE_POINTS * window_s))
    curve: list[float | None] = [None] * -(-(end_s - first_s) // step_s)
    for row in reader.curve(gateway, meter, first_s, step_s):
        curve[row["place"]] = row["active_power_w"]
    return curve


def load_wh(days: Iterable[Mapping[str, float | None] | Row]) -> float:
    """Give the energy of these days in Wh, by the register where it can be trusted, else by power.

    >>> day = {"load_wh": 95.0, "active_energy_import_wh": 1000.0, "active_energy_export_wh": None}
    >>> load_wh([day, day | {"active_energy_import_wh": 1100.0}])  # the first day by power, the second by register
    195.0
    >>> load_wh([day, day | {"active_energy_import_wh": 40.0}])  # a reset
    190.0
    """
    total = integrated = 0.0
    before: Mapping[str, float | None] | Row | None = None
    for day in days:
        integrated += day["load_wh"] or 0.0
        if day["active_energy_import_wh"] is None:
            continue
        step = None if before is None else _register_step(before, day)
        total += integrated if step is None else step
        integrated, before = 0.0, day
    return total + integrated


def _register_step(before: Mapping[str, float | None] | Row, day: Mapping[str, float | None] | Row) -> float | None:
    """Give import less export between two readings; None where a register ran backwards."""
    if day["active_energy_export_wh"] is None and (day["load_wh"] or 0.0) < 0:
        return None  # it fed back, and there is no register of that
    steps = []
    for name in ("active_energy_import_wh", "active_energy_export_wh"):
        first, last = before[name], day[name]
        step = 0.0 if first is None or last is None else last - first
        if step < 0:
            return None
        steps.append(step)
    return steps[0] - steps[1]


def share(mining_w: float, load_w: float | None) -> float:
    """Give mining over load, 0 to 1; 0 without a load.

    >>> share(20_000.0, 80_000.0), share(500.0, 0.0), share(1200.0, 1000.0)
    (0.25, 0.0, 1.0)
    """
    return min(1.0, mining_w / load_w) if load_w is not None and load_w > 0 else 0.0


def site_load(meters: Sequence[Meter]) -> float | None:
    """Give what the site consumes, None where nothing is known of it."""
    bought = _known_sum(_load_below(meter, meters, frozenset()) for meter in _top(meters))
    return None if bought is None else bought + _fed_in(meters)


def site_mining(meters: Sequence[Meter]) -> Watts:
    """Give the mining of a site."""
    own = [meter.mining_w for meter in meters if meter.role == "load"]
    return sum(w[0] for w in own), sum(w[1] for w in own), sum(w[2] for w in own)


def _fed_in(meters: Sequence[Meter]) -> float:
    """Give what generation below the load meters supplies: they do not see it, and the site consumes it."""
    loads = {meter.meter for meter in meters if meter.role == "load"}
    inside = [meter for meter in meters if meter.role == "generation" and meter.parent in loads]
    return sum(max(0.0, -(meter.active_power_w or 0.0)) for meter in inside)


def _top(meters: Sequence[Meter]) -> list[Meter]:
    """Give the load meters that have no load meter of the site upstream."""
    loads = {meter.meter for meter in meters if meter.role == "load"}
    return [meter for meter in meters if meter.meter in loads and meter.parent not in loads]


def _children(meter: Meter, meters: Sequence[Meter], path: frozenset[str]) -> list[Meter]:
    """Give the load meters right below; ``path`` holds those above: a status that names a circle must not hang us."""
    return [
        child for child in meters if child.parent == meter.meter and child.role == "load" and child.meter not in path
    ]


def _load_below(meter: Meter, meters: Sequence[Meter], above: frozenset[str]) -> float | None:
    if meter.active_power_w is not None:
        return meter.active_power_w
    path = above | {meter.meter}
    return _known_sum(_load_below(child, meters, path) for child in _children(meter, meters, path))


def _known_sum(parts: Iterable[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
