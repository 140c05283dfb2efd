"""A clock that goes wrong by a script, in fast motion: for tests of what the agent makes of it.

The simulated meters live in the true time, which the agent drives in the clock's file; what the
agent takes for UTC is that time with all that the script has done to it so far. One line each::

    # when (true time)      what happens then
    2026-01-05T00:00:00Z    step_s=-10800 trust=U     # booted three hours in the past
    2026-01-05T00:10:00Z    step_s=10800 trust=S      # the time server answers
    2026-01-06T12:00:00Z    drift_ppm=200             # from now on it gains 17 s a day
    2026-01-07T12:00:00Z    suspend_s=1800            # the machine sleeps for half an hour
    2026-01-08T12:00:00Z    boot step_s=-600 trust=U  # another boot: its id and its boot time begin anew

A line before the start says how the clock is set when it begins. Changes take effect in the order of time.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast, get_args

from agent.clock import DrivenClock
from agent.errors import Complaint, InputError
from agent.records import ClockReading, Trust

_NUMBERS = ("step_s", "drift_ppm", "suspend_s")
_BEFORE_ALL_S = -1.0  # of the true time, before which no script begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How the clock goes from ``from_s`` of the true time on."""

    from_s: float
    offset_s: float = 0.0  # UTC less true time, at ``from_s``
    drift_ppm: float = 0.0
    trust: Trust = "S"
    boot: int = 0
    booted_s: float = 0.0
    suspend_s: float = 0.0  # that begins at ``from_s``

    def utc_s(self, true_s: float) -> float:
        """Give what the clock says at ``true_s``."""
        return true_s + self.offset_s + (true_s - self.from_s) * self.drift_ppm * 1e-6

    def true_s(self, utc_s: float) -> float:
        """Give when the clock says ``utc_s``."""
        return self.from_s + (utc_s - self.offset_s - self.from_s) / (1 + self.drift_ppm * 1e-6)


class ScriptedClock(DrivenClock):
    """A driven clock of which the agent sees only what the script leaves of it."""

    is_shared = True

    def __init__(self, path: Path, start_s: float, speed: float, courses: tuple[Course, ...]) -> None:
        super().__init__(path, start_s, speed)
        self._courses = courses
        self._begins_s = [course.from_s for course in courses]

    def now_s(self) -> float:
        """Give what the clock says."""
        return self._course().utc_s(self.driven_s())

    def read(self) -> ClockReading:
        """Give what the clock and the kernel say."""
        course, now_s = self._course(), self.driven_s()
        return ClockReading(
            utc_s=course.utc_s(now_s),
            boot_s=now_s - course.booted_s,
            boot_id=f"driven{course.boot}",
            trust=course.trust,
            error_s=0.0,
        )

    async def sleep_until(self, time_s: float) -> None:
        """Move the time on, up to the next change of the script."""
        number = bisect_right(self._begins_s, self.driven_s())
        wanted_s = self._course().true_s(time_s)
        if number == len(self._courses) or self._begins_s[number] > wanted_s:
            await self.drive_to(wanted_s)
        else:
            change = self._courses[number]
            await self.drive_to(change.from_s + change.suspend_s)

    def true_s(self, time_s: float) -> float:
        """Give the true time at which the clock says ``time_s``, as it goes now."""
        return self._course().true_s(time_s)

    def _course(self) -> Course:
        return self._courses[bisect_right(self._begins_s, self.driven_s()) - 1]


def read_script(path: Path) -> tuple[Course, ...]:
    """Read a script; raises :class:`InputError` with every line that is wrong."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "is no text"
        raise InputError(f"--clock-script {path}: {why}; expected lines as 2026-01-05T03:00:00Z step_s=3600") from None
    courses, complaints = [Course(from_s=_BEFORE_ALL_S)], []
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            courses.append(_course_after(courses[-1], words))
        except ValueError as error:
            complaints.append(Complaint(str(path), number, words[0], str(error)))
    if complaints:
        raise InputError(complaints)
    return tuple(courses)


def _course_after(before: Course, words: list[str]) -> Course:
    """Give how the clock goes after one line."""
    moment = datetime.fromisoformat(words[0])
    from_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if from_s <= before.from_s:
        raise ValueError("comes before the line above it: order the lines by time")
    said = dict(word.partition("=")[::2] for word in words[1:])
    numbers = {name: float(said.pop(name)) for name in _NUMBERS if name in said}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("expected finite numbers")
    boots = said.pop("boot", None) is not None
    trust = _trust(said.pop("trust", before.trust))
    if said:
        raise ValueError(f"{' '.join(said)}: expected {', '.join(_NUMBERS)}, trust or boot")
    utc_s = before.utc_s(from_s) + numbers.get("step_s", 0.0)
    if utc_s < 0:
        raise ValueError("the clock would go back before 1970, which no system lets it")
    return Course(
        from_s=from_s,
        offset_s=utc_s - from_s,
        drift_ppm=numbers.get("drift_ppm", before.drift_ppm),
        trust=trust,
        boot=before.boot + boots,
        booted_s=from_s if boots else before.booted_s,
        suspend_s=numbers.get("suspend_s", 0.0),
    )


def _trust(word: str) -> Trust:
    for letter in get_args(Trust):
        if letter == word:
            return cast(Trust, letter)
    raise ValueError(f"trust={word}: expected U, I, S or R")
