"""What the page's API says: a fleet of sites, their meters, alarms and findings."""

from dataclasses import dataclass

from agent.deliver import wire

Watts = tuple[float, float, float]  # 10th, 50th and 90th percentile


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
    clock: str  # trust in the time of the newest window
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
    last_day: str | None  # the gateway's own account of its site's last day, for people
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
    """What does not fit; ``resolved_s`` where its cause ended, or the true bytes came later."""

    gateway: str
    stream: str
    seq: int
    to_seq: int
    kind: str
    text: str
    time_s: int
    resolved_s: int | None
    rings: bool  # False for what is mere information


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything that the first page shows."""

    time_s: int
    sites: list[Site]
    alarms: list[AlarmState]
    findings: list[FindingState]
