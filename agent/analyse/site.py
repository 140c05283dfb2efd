"""The facility's tree of meters: what each meter sees that no meter below it sees."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.analyse.features.robust import Floats
from agent.config import MeterFacts

_SERVER_SITES = frozenset({"data_centre", "telecom"})


@dataclass(frozen=True, slots=True)
class Site:
    """Facts about the facility, in the order in which all arrays hold the meters."""

    kind: str
    meters: tuple[MeterFacts, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Meter ids, the row order of every array."""
        return tuple(meter.id for meter in self.meters)

    @property
    def has_servers(self) -> bool:
        """Whether flat electronic loads are this site's ordinary business, so that flatness accuses nobody."""
        return self.kind in _SERVER_SITES

    def remainder(self, power_w: Floats) -> Floats:
        """Subtract from each meter what its sub-meters measure; shape (meters, ...), unknown where one is unknown.

        A farm behind a sub-meter is seen by every meter above it as well. Judging only the
        unmetered remainder of a parent names the place once, and sums over meters count
        nothing twice.
        """
        if not self.parents():
            return power_w
        rows = {meter.id: row for row, meter in enumerate(self.meters)}
        own = np.array(power_w, dtype=float)
        for row, meter in enumerate(self.meters):
            if meter.parent is not None:
                own[rows[meter.parent]] -= power_w[row]
        return own

    def with_children(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Give each meter's flags joined with those of its sub-meters: what concerns them moves its remainder."""
        rows = {meter.id: row for row, meter in enumerate(self.meters)}
        joined = flags.copy()
        for row, meter in enumerate(self.meters):
            if meter.parent is not None:
                joined[rows[meter.parent]] |= flags[row]
        return joined

    def drawn(self, hourly_w: Floats) -> Floats:
        """Give what is drawn below each meter at the top of the tree, generation there added; shape (tops, hours).

        ``hourly_w`` (meters, hours). What flows out through an incomer was generated below it and is
        not drawn; neither is what charges a battery. Unknown where a part is unknown.
        """
        own_w = self.remainder(hourly_w)  # inverters below a solar meter generate what it measures
        parent = {meter.id: meter.parent for meter in self.meters}
        tops = {meter.id: hourly_w[row] for row, meter in enumerate(self.meters) if self._is_top(meter)}
        for row, meter in enumerate(self.meters):
            if meter.role != "generation":
                continue
            above = meter.parent
            while above is not None and parent[above] is not None:
                above = parent[above]
            if above in tops:
                tops[above] = tops[above] - own_w[row]
        return np.array(list(tops.values())).reshape(-1, hourly_w.shape[-1])

    @staticmethod
    def _is_top(meter: MeterFacts) -> bool:
        return meter.parent is None and meter.role == "load"

    def parents(self) -> frozenset[str]:
        """Give the meters that have sub-meters."""
        return frozenset(meter.parent for meter in self.meters if meter.parent is not None)


def without_facts(meters: Sequence[str]) -> Site:
    """Give a site of which nothing is known but the meters' names."""
    facts = tuple(
        MeterFacts(
            id=meter,
            name=meter,
            role="load",
            parent=None,
            source=None,
            capacity_wh=None,
            declared=None,
            declared_w=None,
            declared_hours=None,
        )
        for meter in meters
    )
    return Site("other", facts)
