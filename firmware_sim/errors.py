"""What a user of the simulator is told in one line or several."""

from collections.abc import Iterable


class SimError(Exception):
    """A scenario, a profile, an address or an argument is wrong: one complaint a line, each located."""

    exit_code = 2

    def __init__(self, complaints: Iterable[str] | str) -> None:
        self.complaints = (complaints,) if isinstance(complaints, str) else tuple(complaints)
        super().__init__("\n".join(self.complaints))


class TakenError(SimError):
    """What the scenario asks for is right, and not to be had: a port or a link that another holds."""

    exit_code = 1
