"""Says what is wrong once, however often it comes: a stranger who can annoy us must not fill our spool and log."""

import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)

_AGAIN_S = 3600.0  # the same sort of trouble is told again after so long


class Complaints:
    """Tells each sort of trouble once an hour, with how often it came meanwhile; ``report`` gets (event, text)."""

    def __init__(self, report: Callable[[str, str], None]) -> None:
        self._report = report
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def tell(self, event: str, sort: str, text: str, now_s: float) -> None:
        """Tell it, unless this sort of it was told a short while ago."""
        told_s, count = self._told.get((event, sort), (None, 0))
        if told_s is not None and now_s - told_s < _AGAIN_S:
            self._told[event, sort] = (told_s, count + 1)
            return
        self._told[event, sort] = (now_s, 0)
        text += f" ({count} more of this sort in the last hour)" if count else ""
        logger.warning("%s", text)
        self._report(event, text)
