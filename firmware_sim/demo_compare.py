"""Hold what the collector found against what was truly so."""

from typing import Any

from firmware_sim.plant import Plant
from firmware_sim.scenario import Scenario
from firmware_sim.truth import Truth, truth

_NEAR_S = 2 * 86400  # how far the start found may lie from the true one
_NEAR_SHARE = 0.05  # of the load
_NEAR_ENERGY = 0.15  # of the true mining energy
_WEEK_POINTS = 30  # the curve has 60 points over two weeks

Json = dict[str, Any]


def compare(scenario: Scenario, fleet: Json, until_s: float) -> list[Json]:
    """Give one row a meter and one for the site.

    A sum of other meters is judged by what those do not see, so its own verdict is compared with
    its own loads, and its share with nothing: that is what the row of the site is for.
    """
    site, meters = truth(Plant(scenario), until_s)
    found = {meter["meter"]: meter for one in fleet.get("sites", ()) for meter in one["meters"]}
    sums = {meter.id for meter in scenario.meters if meter.sum_of}
    rows = [_row(found.get(name), name, true) for name, true in meters.items() if name not in sums]
    total_w = sum(one["mining_w"][1] for one in fleet.get("sites", ()))
    return [*rows, _site(total_w, list(found.values()), site)]


def _row(meter: Json | None, name: str, true: Truth) -> Json:
    if meter is None:
        return {"meter": name, "name": name, "found": _found("missing"), "truth": _true(true), "agrees": False}
    load_w = _mean(meter["curve"][-_WEEK_POINTS:])
    found = _found(meter["verdict"], meter["mining_w"][1], load_w, meter["mining_kwh"], meter["since_s"])
    found["share_now"] = meter["mining_share"]
    return {
        "meter": name,
        "name": meter["name"],
        "found": found,
        "truth": _true(true),
        "agrees": _agrees(found, true),
    }


def _mean(curve: list[float | None]) -> float:
    known = [value for value in curve if value is not None]
    return sum(known) / len(known) if known else 0.0


def _found(
    verdict: str, mining_w: float = 0.0, load_w: float = 0.0, mining_kwh: float = 0.0, since_s: float | None = None
) -> Json:
    share = min(1.0, mining_w / load_w) if load_w > 0 else 0.0
    return {
        "verdict": verdict,
        "mining_w": mining_w,
        "share": share,
        "share_now": None,
        "mining_kwh": mining_kwh,
        "since_s": since_s,
    }


def _true(true: Truth) -> Json:
    share = _share(true)
    return {"mining_w": true.mining_w, "share": share, "mining_kwh": true.mining_kwh, "since_s": true.since_s}


def _share(true: Truth) -> float:
    return true.mining_w / true.load_w if true.load_w else 0.0


def _share_now(true: Truth) -> float:
    return true.mining_now_w / true.load_now_w if true.load_now_w else 0.0


def _agrees(found: Json, true: Truth) -> bool:
    """Hold who, since when, how much and what share against the truth; of a farm that is gone, how much it took."""
    if (found["verdict"] == "mining") != (true.mining_w > 0):
        return False
    if true.since_s is None or not true.mining_w:
        return _energy(found, true)
    near = found["since_s"] is not None and abs(found["since_s"] - true.since_s) <= _NEAR_S
    return near and _as_much(found, true)


def _as_much(found: Json, true: Truth) -> bool:
    """Hold how much and what share, over the last week or now: a feeder of machines is told as it draws now."""
    now = found["share_now"] is not None and abs(found["share_now"] - _share_now(true)) <= _NEAR_SHARE
    return _energy(found, true) and bool(now or abs(found["share"] - _share(true)) <= _NEAR_SHARE)


def _energy(found: Json, true: Truth) -> bool:
    return bool(abs(found["mining_kwh"] - true.mining_kwh) <= _NEAR_ENERGY * true.mining_kwh)


def _site(mining_w: float, meters: list[Json], true: Truth) -> Json:
    """Compare the site: what its meters mine, over what flows in from outside and from generation inside."""
    bought_w = sum(_mean(meter["curve"][-_WEEK_POINTS:]) for meter in meters if meter["parent"] is None)
    made_w = -sum(_mean(meter["curve"][-_WEEK_POINTS:]) for meter in meters if meter["role"] == "generation")
    found = _found("", mining_w, bought_w + made_w, sum(meter["mining_kwh"] for meter in meters))
    agrees = _as_much(found, true)
    return {
        "meter": "",
        "name": "the whole site",
        "found": found,
        "truth": _true(true) | {"since_s": None},
        "agrees": agrees,
    }
