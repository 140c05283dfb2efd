"""Carries out ``rotate``: another key, named by a record that the old one signs."""

from collections.abc import Mapping

from agent.deliver.command_table import Value
from agent.errors import FlatwattError
from agent.operate.executor import Done


def rotate(_arguments: Mapping[str, Value], _done: Done) -> None:
    """Refuse: without an authority nobody would know the new key."""
    raise FlatwattError("this gateway was not enrolled with an authority, which would make its new key known")
