"""The register of faults: each a function that injects one into a test bed and says what it measured.

The docstring's first paragraph is what the table of docs/reliability.md shows: what is injected, and
after the colon what must hold besides the invariants.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.bed import Bed

Injection = Callable[[Bed], str]  # gives what was measured, for people

GROUPS = {"M": "Modbus", "B": "MQTT", "O": "Operating system", "T": "Time", "C": "Configuration", "A": "Adversary"}
COUNTS = {"M": 18, "B": 15, "O": 10, "T": 6, "C": 5, "A": 12}  # the list of faults that the campaign is held to


class NotPossibleError(Exception):
    """This machine, or the software as it is, does not let the case be tried; the text says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """One fault of the list."""

    number: str  # M1
    fault: str  # meter silent
    rule: str  # injection and pass criterion
    inject: Injection


CASES: dict[str, Case] = {}


def fault(number: str, name: str) -> Callable[[Injection], Injection]:
    """Register a function as the case of this number."""

    def register(inject: Injection) -> Injection:
        rule = " ".join((inspect.getdoc(inject) or "").split("\n\n")[0].split())
        if number in CASES:
            raise ValueError(f"{number} is there already")
        CASES[number] = Case(number, name, rule, inject)
        return inject

    return register


def listed() -> list[str]:
    """Give the numbers of all faults, in the order of the list.

    >>> len(listed()), listed()[0], listed()[-1]
    (66, 'M1', 'A12')
    """
    return [f"{group}{number}" for group, count in COUNTS.items() for number in range(1, count + 1)]
