"""A spool as the daemon opens it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.deliver.identity.keys import GatewayKey
from agent.deliver.spool.spool import Spool
from agent.deliver.spool.upkeep import Upkeep
from tests.agent.deliver.centre import GATEWAY
from tests.agent.deliver.spool.windows import LOOSE, NOW, key_in


@pytest.fixture
def key(tmp_path: Path) -> GatewayKey:
    """The gateway's key."""
    return key_in(tmp_path)


@pytest.fixture
def opened(tmp_path: Path, key: GatewayKey) -> Iterator[Callable[[], tuple[Spool, Upkeep]]]:
    """Opens the spool as the daemon does; what is open is closed at the end."""
    spools: list[Spool] = []

    def open_() -> tuple[Spool, Upkeep]:
        spools.append(Spool(tmp_path / "spool.db", GATEWAY))
        return spools[-1], Upkeep(spools[-1], key, LOOSE, lambda: NOW)

    yield open_
    for spool in spools:
        spool.close()


Opened = Callable[[], tuple[Spool, Upkeep]]
