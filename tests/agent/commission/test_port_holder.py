"""Which program holds a serial port."""

import os
from pathlib import Path

from agent.commission.port_holder import Holder, holders


def test_a_process_that_has_the_port_open_is_named(tmp_path: Path) -> None:
    """Under whatever name of the port; others are not."""
    port, alias, proc = tmp_path / "ttyUSB0", tmp_path / "by-id", tmp_path / "proc"
    port.touch()
    alias.symlink_to(port)
    for pid, target, command in ((812, port, b"flatwatt\0run\0-c\0gateway.toml\0"), (7, tmp_path, b"bash\0")):
        (proc / str(pid) / "fd").mkdir(parents=True)
        (proc / str(pid) / "fd/3").symlink_to(target)
        (proc / str(pid) / "cmdline").write_bytes(command)
    (proc / "sys").mkdir()

    assert holders(alias, proc) == [Holder(812, "flatwatt run -c gateway.toml")]
    assert str(holders(port, proc)[0]) == "flatwatt run -c gateway.toml (process 812)"


def test_this_process_is_seen_in_the_real_list(tmp_path: Path) -> None:
    """As another one is that belongs to the same user."""
    port = tmp_path / "port"

    with port.open("w"):
        assert [holder.pid for holder in holders(port)] == [os.getpid()]
    assert holders(port) == []
