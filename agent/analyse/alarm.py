"""Alarms with a life: raised once, updated when the picture changes, cleared after days of quiet.

The id is a digest of gateway, meter and the moment of raising, so it is the same after a
restart. A day without usable data, or without a conclusion, neither clears nor updates: silence
is no all-clear.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from agent.analyse.declared import CHANGE
from agent.records import Judgement, Verdict

_QUIET_DAYS = 10  # of other verdicts before an alarm is cleared: a holiday or a repair ends sooner
_WORTH_AN_UPDATE = 0.2  # relative change of the mining power since it was last told
State = Literal["raised", "updated", "cleared"]


class Alarm(msgspec.Struct, frozen=True):
    """An open alarm."""

    id: str
    raised_s: int
    told_w: float
    quiet_days: int = 0


class Change(msgspec.Struct, frozen=True):
    """What is to be told about an alarm."""

    alarm: Alarm
    state: State
    judgement: Judgement


class AlarmBook:
    """The open alarms of a gateway; ``open`` is its whole state, keyed by meter."""

    def __init__(self, gateway: str) -> None:
        self._gateway = gateway
        self.open: dict[str, Alarm] = {}

    def day(self, judgements: Sequence[Judgement], time_s: int) -> list[Change]:
        """Take the judgements of the day that ended at ``time_s`` and give what has changed."""
        changes = [self._meter(judgement, time_s) for judgement in judgements]
        return [change for change in changes if change is not None]

    def _meter(self, judgement: Judgement, time_s: int) -> Change | None:
        alarm = self.open.get(judgement.meter)
        if _is_alarming(judgement):
            return self._raise(judgement, time_s) if alarm is None else self._update(alarm, judgement)
        if alarm is None or judgement.verdict in (Verdict.FAULT, Verdict.INCONCLUSIVE):
            return None
        if alarm.quiet_days + 1 < _QUIET_DAYS:
            self.open[judgement.meter] = replace(alarm, quiet_days=alarm.quiet_days + 1)
            return None
        del self.open[judgement.meter]
        return Change(alarm, "cleared", judgement)

    def _raise(self, judgement: Judgement, time_s: int) -> Change:
        digest = hashlib.sha256(f"{self._gateway}/{judgement.meter}/{time_s}".encode()).hexdigest()
        alarm = Alarm(id=digest[:12], raised_s=time_s, told_w=judgement.mining_w[1])
        self.open[judgement.meter] = alarm
        return Change(alarm, "raised", judgement)

    def _update(self, alarm: Alarm, judgement: Judgement) -> Change | None:
        watts = judgement.mining_w[1]
        is_news = abs(watts - alarm.told_w) > _WORTH_AN_UPDATE * max(alarm.told_w, 1.0)
        alarm = replace(alarm, quiet_days=0, told_w=watts if is_news else alarm.told_w)
        self.open[judgement.meter] = alarm
        return Change(alarm, "updated", judgement) if is_news else None


def _is_alarming(judgement: Judgement) -> bool:
    """Tell whether somebody should act: on mining, and on a declared load that changed without a declaration."""
    return judgement.verdict is Verdict.MINING or any(reason.evidence == CHANGE for reason in judgement.reasons)
