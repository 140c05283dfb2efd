"""The one error that the simulator's user can cause."""

from collections.abc import Iterable


class SimError(Exception):
    """A scenario, a profile, an address or an argument is wrong: one complaint a line, each located."""

    def __init__(self, complaints: Iterable[str] | str) -> None:
        self.complaints = (complaints,) if isinstance(complaints, str) else tuple(complaints)
        super().__init__("\n".join(self.complaints))
