"""The state of the fleet: who mines, how much, what share. What is summed follows the rules of ``totals``."""

from collections.abc import Sequence

from agent.deliver import wire
from agent.errors import EvidenceError
from agent.records import Verdict
from collector.state import AlarmState, FindingState, Fleet, Meter, Site, Watts
from collector.store.findings import INFORMATION
from collector.store.reader import Reader, Row, reasons
from collector.totals import load_wh, share, site_load, site_mining

CURVE_POINTS = 60  # what a sparkline can show
CURVE_S = 14 * 86_400  # two weeks show a calendar rhythm, or its absence
ALARMS, FINDINGS = 200, 100  # what a list shows at most

NOTHING: Watts = (0.0, 0.0, 0.0)


def fleet(reader: Reader, time_s: int) -> Fleet:
    """Give the state of the fleet, the largest mining load first."""
    status = {row["gateway"]: row["status"] for row in reader.gateways()}
    seen: dict[str, list[str]] = {gateway: [] for gateway in status}
    for gateway, meter in reader.meters():
        seen.setdefault(gateway, []).append(meter)
    sites = [_site(reader, gateway, status_of(status.get(gateway)), meters) for gateway, meters in seen.items()]
    sites.sort(key=lambda site: (-site.mining_w[1], -(site.load_w or 0.0), site.gateway))
    return Fleet(time_s=time_s, sites=sites, alarms=alarms(reader), findings=findings(reader))


def alarms(reader: Reader) -> list[AlarmState]:
    """Give the alarms as they stand, open ones first."""
    return [alarm_state(row) for row in reader.alarms(ALARMS)]


def findings(reader: Reader) -> list[FindingState]:
    """Give the findings, open ones first."""
    return [FindingState(**dict(row), rings=row["kind"] not in INFORMATION) for row in reader.findings(FINDINGS)]


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
    status = next((status_of(entry["status"]) for entry in reader.gateways() if entry["gateway"] == gateway), None)
    named = {entry.meter: entry for entry in status.meters} if status else {}
    return (status.site if status else ""), _meter(reader, gateway, meter, named.get(meter), row)


def status_of(payload: bytes | None) -> wire.Status | None:
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
        last_day=reader.site_day(gateway),
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
        clock=row["clock"] if row else "",
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
