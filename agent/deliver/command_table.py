"""What an operator may order: the allow-list, and what each command is told.

Part of the contract, so the centre checks a command by the same table before it is signed. None of
these writes to a meter, and none runs what it is sent: what an operator's key can do ends here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from agent.errors import EvidenceError

Value = float | int | str
MOST = 2**53  # the integers that readers of JSON agree on
CAPTURE_S = 900  # a quarter of an hour of samples: what the gateway remembers, and what one reply can carry


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: a number within its range, or, without one, a name of at most 24 characters."""

    name: str
    kind: Literal["whole", "number", "name"]
    low: float = 0
    high: float = 0
    required: bool = True

    def wrong(self, value: Value) -> str:
        """Say what is expected where the value is not it; nothing where it is.

        >>> Argument("seconds", "whole", 1, 900).wrong(0.5)
        'seconds is 0.5, expected a whole number from 1 to 900'
        """
        if self.kind == "name":
            fits, expected = isinstance(value, str) and 0 < len(value) <= 24, "a name of at most 24 characters"
        else:
            whole = self.kind == "whole"
            is_number = isinstance(value, int) if whole else isinstance(value, int | float)
            fits = is_number and not isinstance(value, str) and self.low <= value <= self.high
            expected = f"a {'whole ' if whole else ''}number from {self.low:g} to {self.high:.16g}"
        return "" if fits else f"{self.name} is {str(value)[:40]}, expected {expected}"


COMMANDS: Mapping[str, tuple[Argument, ...]] = {
    "resend": (Argument("from_seq", "whole", 1, MOST), Argument("through_seq", "whole", 1, MOST)),
    "set_interval": (
        Argument("period_s", "number", 0.1, 3600, required=False),
        Argument("window_s", "whole", 1, 3600, required=False),
    ),
    "reload": (),
    "rotate": (),
    "diagnose": (),
    "capture": (
        Argument("meter", "name"),
        Argument("seconds", "whole", 1, CAPTURE_S),
        Argument("from_s", "whole", 0, 253_402_300_799, required=False),
    ),
}


def check_order(command: str, arguments: Mapping[str, Value]) -> None:
    """Raise :class:`EvidenceError` with every mistake of a command that is not on the list, or wrongly told.

    >>> check_order("reboot", {})
    Traceback (most recent call last):
    ...
    agent.errors.EvidenceError: unknown command 'reboot'; known are resend, set_interval, reload, rotate, diagnose, \
capture
    """
    if command not in COMMANDS:
        raise EvidenceError(f"unknown command {command[:40]!r}; known are {', '.join(COMMANDS)}")
    mistakes = list(_mistakes(COMMANDS[command], arguments))
    if mistakes:
        raise EvidenceError(f"{command}: {'; '.join(mistakes)}")


def _mistakes(expected: tuple[Argument, ...], arguments: Mapping[str, Value]) -> Iterable[str]:
    names = [argument.name for argument in expected]
    yield from (f"{name[:40]} is no argument of it" for name in arguments if name not in names)
    for argument in expected:
        if argument.name in arguments:
            if mistake := argument.wrong(arguments[argument.name]):
                yield mistake
        elif argument.required:
            yield f"{argument.name} is missing"
