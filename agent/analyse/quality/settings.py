"""Is it still the same meter, with the same settings? The watch of serial number, model and ratios (Q19).

What gateway.toml and the profile say is watched alike: a corrected ratio moves all readings, and is no tampering.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from agent.analyse.features.robust import Floats
from agent.analyse.quality.case import moment
from agent.analyse.quality.view import Flags
from agent.analyse.window import IDENTITY, known
from agent.records import Notice, Window

_WORDS = {
    "serial_number": "serial number",
    "model_code": "model code",
    "ct_ratio": "current transformer ratio",
    "vt_ratio": "voltage transformer ratio",
    "ct_primary_a": "current transformer primary, A,",
    "ct_secondary_a": "current transformer secondary, A,",
    "configured_ct_ratio": "ct_ratio of gateway.toml",
    "configured_vt_ratio": "vt_ratio of gateway.toml",
    "profile_digest": "its profile's digest",
}


class Settings:
    """What each meter said last of itself; ``kept`` outlives restarts, so a change during an outage is seen too."""

    def __init__(self, meters: Sequence[str], configured: Mapping[str, Sequence[float]]) -> None:
        self._configured = {name: np.array(numbers, dtype=float) for name, numbers in configured.items()}
        self._names = (*IDENTITY, *self._configured)
        self.kept: dict[str, Floats] = {name: np.full(len(meters), np.nan) for name in self._names}

    def take(self, window: Window) -> tuple[list[Notice], Flags]:
        """Give what is to be told, and which meters (meters,) are not what they were."""
        said = {**window.identity, **self._configured}
        changed = np.zeros((len(self._names), len(window.meters)), dtype=np.bool_)
        before: dict[str, Floats] = {}
        has = known(said)
        for number, name in enumerate(self._names):
            if name not in has:
                continue
            now, before[name] = said[name], self.kept[name]
            changed[number] = np.isfinite(now) & np.isfinite(before[name]) & (now != before[name])
            self.kept[name] = np.where(np.isfinite(now), now, before[name])
        other: Flags = np.logical_or.reduce(changed)
        notices = [self._notice(window, int(row), changed[:, row], before) for row in np.flatnonzero(other)]
        return notices, other

    def _notice(self, window: Window, row: int, changed: Flags, before: dict[str, Floats]) -> Notice:
        names = [name for name, differs in zip(self._names, changed, strict=True) if differs]
        texts: list[str] = []
        data: dict[str, float] = {}
        for name in names:
            old, new = float(before[name][row]), float(self.kept[name][row])
            texts.append(f"{_WORDS[name]} was {_plain(old)} and is {_plain(new)}")
            data |= {f"{name}_before": old, f"{name}_now": new}
        meter, when = window.meters[row], moment(window.start_s)
        seen = f"{meter}: {' and '.join(texts)}, read after {when}"
        if "serial_number" in names:
            advice = "another meter is in place: note last and first reading, and check its ratios, phases and address"
            return Notice(meter=meter, event="exchange", text=f"{seen}: {advice}", data=data)
        advice = "somebody changed the settings; all powers and energies are scaled by them: ask who, and compare them"
        text = f"{seen}: {advice} with the transformers' nameplates"
        return Notice(meter=meter, event="configuration", text=text, data=data)


def _plain(value: float) -> str:
    """Write a number as a plate does.

    >>> _plain(10045678.0), _plain(0.5)
    ('10045678', '0.5')
    """
    return str(int(value)) if value == int(value) else f"{value:g}"
