"""A site's day or period as one JSON object, as an event's data, and as lines for people."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from agent.analyse.history import DAY_S
from agent.analyse.site_day import Estimate, SiteEnergy
from agent.emission_factors import EmissionFactor

Factors = Mapping[str, EmissionFactor]


def report(site: str | None, energy: SiteEnergy, factors: Factors) -> dict[str, Any]:
    """Give a site's energies as a JSON object; every estimate is [p10, p50, p90]."""
    kg = energy.mining_kg(factors)
    return {
        "site": site,
        "from": _day(energy.first_day * DAY_S),
        "to": _day(energy.last_day * DAY_S),
        "days": energy.days,
        "coverage": round(energy.coverage, 3),
        "load_kwh": round(energy.load_wh / 1000, 3),
        "mining_w": _rounded(energy.mining_w, 1),
        "mining_kwh": _rounded(energy.mining_wh, 3, 1000),
        "mining_share": _rounded(energy.mining_share, 4),
        "mining_kg_co2": None if kg is None else _rounded(kg, 3),
        "since": None if energy.since_s is None else _day(energy.since_s),
        "last_evidence": None if energy.last_evidence_s is None else _day(energy.last_evidence_s - 1),
        "meters": {meter: _rounded(wh, 3, 1000) for meter, wh in energy.meter_mining_wh.items()},
        "sources": [_source(source, energy, factors.get(source)) for source in energy.load_source_wh],
    }


def _source(source: str, energy: SiteEnergy, factor: EmissionFactor | None) -> dict[str, Any]:
    load_wh, mining_wh = energy.load_source_wh[source], energy.mining_source_wh.get(source, 0.0)
    return {
        "source": source,
        "load_kwh": round(load_wh / 1000, 3),
        "mining_kwh": round(mining_wh / 1000, 3),
        "mining_kg_co2": None if factor is None else round(mining_wh / 1000 * factor.kg_per_kwh, 3),
        "kg_per_kwh": None if factor is None else factor.kg_per_kwh,
        "year": None if factor is None else factor.year,
        "basis": None if factor is None else factor.basis,
        "reference": None if factor is None else factor.reference,
    }


def event_data(energy: SiteEnergy, factors: Factors) -> dict[str, float | int | str | None]:
    """Give a site's day as an event's data: scalars, each source's own behind its name."""
    low_wh, middle_wh, high_wh = (round(wh) for wh in energy.mining_wh)
    kg = energy.mining_kg(factors)
    data: dict[str, float | int | str | None] = {
        "start_s": energy.first_day * DAY_S,
        "coverage": round(energy.coverage, 3),
        "load_wh": round(energy.load_wh),
        "mining_p10_wh": low_wh,
        "mining_wh": middle_wh,
        "mining_p90_wh": high_wh,
        "mining_share": round(energy.mining_share[1], 4),
        "mining_kg_co2": None if kg is None else round(kg[1], 3),
        "since_s": energy.since_s,
    }
    for source, load_wh in energy.load_source_wh.items():
        factor = factors.get(source)
        data[f"{source}_load_wh"] = round(load_wh)
        data[f"{source}_mining_wh"] = round(energy.mining_source_wh.get(source, 0.0))
        data[f"{source}_factor"] = None if factor is None else _named(factor)
    return data


def sentence(energy: SiteEnergy) -> str:
    """Give a site's day as one line for people."""
    low, middle, high = (wh / 1000 for wh in energy.mining_wh)
    drawn = f"the site drew {energy.load_wh / 1000:,.0f} kWh, {energy.coverage:.0%} of the time measured"
    if high <= 0:
        return f"{drawn}; no mining seen"
    return f"{drawn}; mining {middle:,.0f} kWh ({low:,.0f} to {high:,.0f}), {100 * energy.mining_share[1]:.1f} % of it"


def lines(energy: SiteEnergy, factors: Factors) -> Iterator[str]:
    """Give a site's energies for people."""
    load_kwh = energy.load_wh / 1000
    period = f"{_day(energy.first_day * DAY_S)} to {_day(energy.last_day * DAY_S)}"
    yield f"site, {period}: {load_kwh:,.0f} kWh drawn, {energy.coverage:.1%} of the time measured"
    low, middle, high = (wh / 1000 for wh in energy.mining_wh)
    if high <= 0:
        yield "  mining: none seen"
        return
    share = " to ".join(f"{100 * part:.1f}" for part in energy.mining_share[::2])
    yield (
        f"  mining: {middle:,.0f} kWh ({low:,.0f} to {high:,.0f}), {100 * energy.mining_share[1]:.1f} % of it "
        f"({share}), {energy.mining_w[1] / 1000:.1f} kW over all of it"
    )
    if energy.since_s is not None and energy.last_evidence_s is not None:
        yield f"  first evidence {_day(energy.since_s)}, last {_day(energy.last_evidence_s - 1)}"
    for source, wh in energy.mining_source_wh.items():
        yield f"  from {source}: {wh / 1000:,.0f} kWh, {_emission(wh, factors.get(source))}"
    kg = energy.mining_kg(factors)
    if kg is not None:
        yield f"  in all {kg[1]:,.0f} kg CO2 ({kg[0]:,.0f} to {kg[2]:,.0f})"


def _emission(energy_wh: float, factor: EmissionFactor | None) -> str:
    if factor is None:
        return "of which no emission factor is known: name the site's grid, or write an [[emission_factor]]"
    kg = energy_wh / 1000 * factor.kg_per_kwh
    return f"{kg:,.0f} kg CO2 at {_named(factor)}"


def _named(factor: EmissionFactor) -> str:
    return f"{factor.kg_per_kwh:g} kg/kWh ({factor.basis}, {factor.year}, {factor.reference})"


def _rounded(estimate: Estimate, digits: int, divisor: float = 1.0) -> list[float]:
    return [round(value / divisor, digits) for value in estimate]


def _day(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).date().isoformat()
