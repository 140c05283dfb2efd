"""Another polling period and demand interval by command: kept over restarts, in force from a window's start."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from agent.config import GatewayConfig, PollConfig
from agent.config_check import poll_mistakes
from agent.deliver.command_table import Value
from agent.deliver.spool.spool import Spool
from agent.errors import FlatwattError
from agent.operate.executor import Done, Outcome

SLOT = "interval"  # of the spool


def in_force(written: GatewayConfig, spool: Spool) -> GatewayConfig:
    """Give the configuration with the intervals by command; as written, where there are none or they do not fit it."""
    order = spool.slots.get(SLOT, b"")
    if not order or written.commands.operator_key_file is None:  # nobody could take the order back
        return written
    poll = replace(written.poll, **json.loads(order))
    return written if _mistakes(poll) else replace(written, poll=poll)


class SetInterval:
    """``order`` puts an order on the disk, has it come in force, and tells from when on."""

    def __init__(self, poll: PollConfig, order: Callable[[bytes], int]) -> None:
        self._poll = poll
        self._order = order

    def __call__(self, arguments: Mapping[str, Value], done: Done) -> None:
        """Refuse what does not fit the rest of the configuration."""
        if not arguments:
            raise FlatwattError("name period_s, window_s or both")
        interval = {"period_s": self._poll.period_s, "window_s": self._poll.window_s, **arguments}
        poll = replace(self._poll, **interval)  # type: ignore[arg-type] # the table of commands knows the types
        if mistakes := _mistakes(poll):
            raise FlatwattError("; ".join(mistakes))
        from_s = self._order(json.dumps(interval).encode())
        text = f"polls every {poll.period_s:g} s in windows of {poll.window_s} s from {from_s} on, until a reload"
        done(Outcome(text, {**interval, "from_s": from_s}))


def _mistakes(poll: PollConfig) -> list[str]:
    found = poll_mistakes(poll.period_s, poll.slow_period_s, poll.window_s)
    return [f"{key} {text}" for key, text in found]
