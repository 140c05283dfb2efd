"""Rules of the verdict that look at a meter's place in the tree."""

from agent.analyse.meter_day import MeterDay
from agent.records import Evidence, Judgement, Verdict

MIN_REMAINDER = 0.05  # of a parent's load: two class 1 meters differ by up to 2 %, three by more
_MOVED = 0.6  # of a rise fell at a sub-meter: the weeks' noise blurs the rest


def contradicted(meter: MeterDay) -> Judgement | None:
    """A parent that measures less than its sub-meters has no load of its own that could be judged."""
    if not meter.is_parent or meter.load_w >= -MIN_REMAINDER * abs(meter.total_w):
        return None
    text = "its sub-meters measure more than it does: it is bypassed, or one of them is wrong"
    return meter.judgement(Verdict.INCONCLUSIVE, (Evidence("remainder", meter.load_w, 0.0, text),), score=0.0)


def explained_below(meter: MeterDay) -> Judgement | None:
    """A parent whose sub-meters see nearly all of its load is judged at those meters."""
    if not meter.is_parent or abs(meter.load_w) >= MIN_REMAINDER * abs(meter.total_w):
        return None
    share = meter.load_w / meter.total_w if meter.total_w else 0.0
    text = "its sub-meters see nearly all of the load; they are judged instead"
    return meter.judgement(Verdict.NORMAL, (Evidence("remainder", share, 0.0, text),), score=0.0)


def moved_load(meter: MeterDay) -> Judgement | None:
    """A load that fell at a sub-meter when it rose beside it is no new one: it moved, perhaps around the meter."""
    moved_w = meter.moved(meter.lead.onset_day) if meter.lead is not None else 0.0
    if meter.lead is None or moved_w < _MOVED * meter.lead.height_w:
        return None
    text = (
        f"{moved_w:.0f} W of what rose here fell at a sub-meter in the same days: a load was connected "
        "elsewhere, or is led past its meter"
    )
    return meter.judgement(Verdict.SUSPECT, (Evidence("bypass", moved_w, 0.0, text),))
