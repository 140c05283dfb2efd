"""Carries out ``reload``: gateway.toml is read again, and a wrong one leaves everything as it is."""

from collections.abc import Callable, Mapping

from agent.acquire.profiles.profile import find_profile
from agent.config import GatewayConfig
from agent.deliver.command_table import Value
from agent.deliver.identity.keys import load_public_key
from agent.deliver.link.access import Access
from agent.errors import FlatwattError
from agent.operate.executor import Done, Outcome

_MOST_TEXT = 4000  # letters of complaints in a reply: some forty mistakes


class Reload:
    """``read`` reads and checks the file; ``renew`` has it come in force, and tells from when on."""

    def __init__(
        self, running: GatewayConfig, read: Callable[[], GatewayConfig], renew: Callable[[GatewayConfig], int]
    ) -> None:
        self._running = running
        self._read = read
        self._renew = renew

    def __call__(self, _arguments: Mapping[str, Value], done: Done) -> None:
        """Check first: what is told to come in force can."""
        try:
            config = self._read()
            self._check(config)
        except FlatwattError as error:
            raise FlatwattError(f"the running configuration stays: {str(error)[:_MOST_TEXT]}") from None
        from_s = self._renew(config)
        done(Outcome(f"{len(config.meters)} meters as in the file, from {from_s} on", {"from_s": from_s}))

    def _check(self, config: GatewayConfig) -> None:
        """Read what the start reads: what cannot be used is told before anything is given up."""
        for key in ("id", "state_dir"):
            if getattr(config, key) != getattr(self._running, key):
                raise FlatwattError(f"another {key} needs a start of the agent")
        Access.read(config.mqtt)
        for path in (config.delivery.collector_key_file, config.commands.operator_key_file):
            if path is not None:
                load_public_key(path)
        for meter in config.meters:
            find_profile(meter.profile)
