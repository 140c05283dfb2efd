"""What a case's facility has: how many meters of which model, what goes wrong with them, and for how long it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

START_S = 1_767_571_200  # Monday, 2026-01-05


@dataclass(frozen=True, kw_only=True)
class Story:
    """What is there and for how long it runs. ``faults`` are tables of a scenario, by meter or bus."""

    meters: int = 3
    hours: float = 12.0
    period_s: float = 60.0
    window_s: int = 900
    speed: float = 8_000.0  # simulated seconds a second, at most: 12 hours take 5 s
    profile: str = "carlo_gavazzi_em340"  # wants no silence between requests: that would be real time in fast motion
    profiles: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    loads: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)  # more keys of a meter
    bus: str = "tcp://127.0.0.1:0"
    bus_keys: str = "timeout_s = 0.3"  # what does not answer is found out soon, in fast motion too
    start_s: float = START_S
    clock: str = ""  # lines of `flatwatt run --clock-script`: how the agent's clock goes wrong
    real: bool = False  # real time; the scenario begins now
    site: str = "office"
    delivery: str = "resend_after_s = 2.0"
    mqtt: str = ""

    def toml(self) -> str:
        """Write the scenario: meters m1, m2, ... with units 1, 2, ... on one bus."""
        start = datetime.fromtimestamp(self.start_s, UTC).isoformat()
        text = f'[scenario]\nname = "Faults"\nsite_kind = "{self.site}"\nstart = {start}\nseed = 3\n'
        text += f'step_s = {max(1.0, self.period_s)}\n[[bus]]\nname = "hall"\nurl = "{self.bus}"\n'
        text += _fault("bus", self.faults.get("hall"))
        for unit in range(1, self.meters + 1):
            name = f"m{unit}"
            profile = self.profiles.get(name, self.profile)
            text += f'[[meter]]\nid = "{name}"\nbus = "hall"\nunit = {unit}\nprofile = "{profile}"\n'
            text += self.keys.get(name, "") + "\n"
            load = self.loads.get(name, f'kind = "office"\nmean_w = {10_000 + 4_000 * unit}')
            text += f"[[meter.load]]\n{load}\n" + _fault("meter", self.faults.get(name))
        return text


def _fault(what: str, table: str | None) -> str:
    return "".join(f"[[{what}.fault]]\n{one}\n" for one in (table or "").split("---") if one.strip())
