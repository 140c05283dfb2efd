"""Another polling period and demand interval by command: kept over restarts, in force from a window's start."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from agent.config import PollConfig
from agent.config_check import poll_mistakes
from agent.deliver.command_table import Value
from agent.errors import FlatwattError
from agent.operate.executor import Done, Outcome

SLOT = "interval"  # of the spool


def poll_in_force(poll: PollConfig, kept: bytes) -> PollConfig:
    """Give the intervals by command; those of the file where there are none, or where they do not fit it any more."""
    if not kept:
        return poll
    ordered = replace(poll, **json.loads(kept))
    return poll if list(_mistakes(ordered)) else ordered


class SetInterval:
    """Carries out ``set_interval``.

    ``keep`` puts the order on the disk, ``renew`` has it come in force and tells when.
    """

    def __init__(self, poll: PollConfig, keep: Callable[[bytes], None], renew: Callable[[], int]) -> None:
        self._poll = poll
        self._keep = keep
        self._renew = renew

    def __call__(self, arguments: Mapping[str, Value], done: Done) -> None:
        """Refuse what does not fit the rest of the configuration."""
        if not arguments:
            raise FlatwattError("name period_s, window_s or both")
        poll = replace(self._poll, **arguments)  # type: ignore[arg-type] # the table checked names and types
        if mistakes := list(_mistakes(poll)):
            raise FlatwattError("; ".join(mistakes))
        self._keep(json.dumps({"period_s": poll.period_s, "window_s": poll.window_s}).encode())
        from_s = self._renew()
        text = f"polls every {poll.period_s:g} s in windows of {poll.window_s} s from {from_s} on, until a reload"
        done(Outcome(text, {"period_s": poll.period_s, "window_s": poll.window_s, "from_s": from_s}))


def _mistakes(poll: PollConfig) -> list[str]:
    found = poll_mistakes(poll.period_s, poll.slow_period_s, poll.window_s)
    return [f"{key} {text}" for key, text in found]
