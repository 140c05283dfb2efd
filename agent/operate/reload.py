"""Carries out ``reload``: gateway.toml is read again, and a wrong one leaves everything as it is."""

from collections.abc import Callable, Mapping

from agent.config import GatewayConfig
from agent.deliver.command_table import Value
from agent.errors import FlatwattError
from agent.operate.executor import Done, Outcome

_MOST_TEXT = 4000  # letters of complaints in a reply: some forty mistakes


class Reload:
    """``read`` reads and checks the file; ``renew`` ends a set_interval, and tells when the file comes in force."""

    def __init__(self, running: GatewayConfig, read: Callable[[], GatewayConfig], renew: Callable[[], int]) -> None:
        self._running = running
        self._read = read
        self._renew = renew

    def __call__(self, _arguments: Mapping[str, Value], done: Done) -> None:
        """Check first: what is told to come in force can."""
        try:
            config = self._read()
        except FlatwattError as error:
            raise FlatwattError(f"the running configuration stays: {str(error)[:_MOST_TEXT]}") from None
        for key in ("id", "state_dir"):
            if getattr(config, key) != getattr(self._running, key):
                raise FlatwattError(f"the running configuration stays: another {key} needs a start of the agent")
        from_s = self._renew()
        done(Outcome(f"{len(config.meters)} meters as in the file, from {from_s} on", {"from_s": from_s}))
