"""An operator for the tests: signs commands, right ones and such as no gateway may believe."""

from typing import Any

import msgspec

from agent.deliver import chain, wire

GATEWAY = "campus-01"
NOW_S = 1_800_000_000.0


class Operator:
    """Holds a key and signs with it. What is not named is in order: to our gateway, now, for an hour."""

    def __init__(self) -> None:
        self.key = chain.new_key()
        self.public_key = chain.public_text(self.key)

    def body(self, command: str = "diagnose", counter: int = 1, **others: Any) -> str:
        """Make the text that gets signed."""
        body = {
            "gateway": GATEWAY,
            "counter": counter,
            "command": command,
            "arguments": {},
            "not_before_s": int(NOW_S) - 60,
            "expires_s": int(NOW_S) + 3600,
        }
        return msgspec.json.encode(body | others).decode()

    def sign(self, body: str) -> bytes:
        """Make the message around a text."""
        signature = chain.sign(self.key, chain.command_text(body))
        return wire.encode(wire.Command(v=1, kind="command", body=body, public_key=self.public_key, sig=signature))

    def order(self, command: str = "diagnose", counter: int = 1, **others: Any) -> bytes:
        """Make a signed command."""
        return self.sign(self.body(command, counter, **others))
