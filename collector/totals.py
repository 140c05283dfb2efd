"""How loads, energies and mining are summed; the rules, in this one place.

- **Mining adds up.** A gateway judges a meter by what the meters below it do not see
  (docs/decisions/0007), so each watt of mining is told once: a site's mining is the sum over its
  load meters. Summed p10 and p90 bound the sum from outside: wider than 80 %, never narrower.
- **A site's load** is what it consumes: the latest mean power at its top-level load meters (a
  silent one is stood for by the meters below it) and what generation meters below them feed in.
  Its share is mining p50 over that load. A generation meter (PV) is no miner.
- **load_kwh** over the stored period: register steps from day to day where both readings are
  there, none ran backwards (a roll-over) and the meter was neither reset nor exchanged (a window of
  quality X or R), else mean power x window x coverage. The first day has no reading before it and is
  always integrated.
- **mining_kwh**: p50 x window over windows of good quality; a faulty window adds nothing. A start
  is known only days later: from there to the alarm, the alarm's p50 counts, up to what was measured.
"""

from collections.abc import Iterable, Mapping, Sequence

from collector.state import Meter, Watts
from collector.store.reader import Row


def load_wh(days: Iterable[Mapping[str, float | None] | Row]) -> float:
    """Give the energy of these days in Wh, by the register where it can be trusted, else by power.

    >>> day = {"load_wh": 95.0, "active_energy_import_wh": 1000.0, "active_energy_export_wh": None, "exchanged": 0}
    >>> load_wh([day, day | {"active_energy_import_wh": 1100.0}])  # the first day by power, the second by register
    195.0
    >>> load_wh([day, day | {"active_energy_import_wh": 40.0}])  # a roll-over
    190.0
    >>> load_wh([day, day | {"active_energy_import_wh": 90_000.0, "exchanged": 1}])
    190.0
    """
    total = integrated = 0.0
    before: Mapping[str, float | None] | Row | None = None
    for day in days:
        integrated += day["load_wh"] or 0.0
        if day["active_energy_import_wh"] is None:
            continue
        step = None if before is None or day["exchanged"] else _register_step(before, day)
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
