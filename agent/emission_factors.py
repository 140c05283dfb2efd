"""How much CO2 a kWh stands for, with the year and the source that a report must print beside it.

``configs/emission_factors.toml`` holds what public bodies have published; a site may write its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from agent.toml_check import Check, Field, number, one_of, text, whole
from agent.toml_source import read_toml

LOCAL = ("pv", "hydro", "wind", "diesel", "gas")  # what generates on the site
SOURCES = ("grid", *LOCAL, "battery")  # a battery gives back what it was charged with and has no factor of its own
_BASES = ("direct", "life cycle")

FACTOR = (
    Field("source", one_of("grid", *LOCAL)),
    Field("year", whole(1990, 2100)),
    Field("kg_per_kwh", number(0, 3, expected="kg a kWh, from 0 to 3 (lignite: 1.2)")),
    Field("basis", one_of(*_BASES), default="direct"),
    Field("reference", text),
)
_GRID = (Field("region", text), *(field for field in FACTOR if field.name != "source"))
_HERE = (Field("source", one_of(*LOCAL)), *(field for field in FACTOR if field.name != "source"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionFactor:
    """The emissions of one source of electricity, in kg CO2 (CO2e where the reference says so) a kWh."""

    source: str  # one of SOURCES but battery
    year: int  # for which it was published
    kg_per_kwh: float
    basis: str  # direct: at the plant | life cycle
    reference: str  # who published it, where


@dataclass(frozen=True, slots=True)
class _Published:
    grids: Mapping[str, EmissionFactor]
    local: tuple[EmissionFactor, ...]


def regions() -> tuple[str, ...]:
    """Give the grids of which a factor is shipped.

    >>> "CN" in regions(), "GB" in regions()
    (True, True)
    """
    return tuple(sorted(_published().grids))


def factors(region: str | None, own: Iterable[EmissionFactor]) -> dict[str, EmissionFactor]:
    """Give the factor of each source: the site's own where it has one, else what is published for its grid.

    >>> factors("NO", ())["grid"].kg_per_kwh
    0.015
    """
    published = _published()
    chosen = {factor.source: factor for factor in published.local}
    if region is not None:
        chosen["grid"] = published.grids[region]
    return chosen | {factor.source: factor for factor in own}


@cache
def _published() -> _Published:
    check = Check(read_toml(Path(str(files("configs").joinpath("emission_factors.toml")))))
    check.top((), tables=("grid", "local"))
    grids, local = check.tables("grid", _GRID), check.tables("local", _HERE)
    check.finish()
    newest: dict[str, EmissionFactor] = {}
    for entry in sorted(grids, key=lambda entry: int(entry["year"])):
        newest[entry["region"]] = EmissionFactor(source="grid", **_without_region(entry))
    return _Published(newest, tuple(EmissionFactor(**entry) for entry in local))


def _without_region(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "region"}
