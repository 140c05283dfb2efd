"""Runs a verb of flatwatt with its surroundings changed from outside; nothing in the product knows of this.

    python -m tests.faults.rig --kill agent.deliver.spool.spool:Spool.receipt before 3 -- run -c gateway.toml
    python -m tests.faults.rig --clock FILE -- collect --mqtt ...

``--kill`` ends the process at the n-th call of a function, before or after it, as a power cut or
`kill -9` would. ``--clock`` lets a collector live in the time that an agent drives in fast motion.
"""

import argparse
import functools
import importlib
import os
import signal
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent.cli import main


def kill_at(function: str, when: str, call: int) -> None:
    """Let this process die before or after the ``call``-th call of ``module:Name.of.function``."""
    module_name, path = function.split(":")
    *owners, name = path.split(".")
    owner: Any = importlib.import_module(module_name)
    for part in owners:
        owner = getattr(owner, part)
    original = getattr(owner, name)
    calls = 0

    @functools.wraps(original)
    def wrapped(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        given = original(*args, **options)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return given

    setattr(owner, name, wrapped)


def live_by(file: Path) -> None:
    """Let the collector's time be that in a file of eight bytes."""
    verb: Any = importlib.import_module("collector.verb")
    verb.time = SimpleNamespace(time=lambda: struct.unpack("<d", file.read_bytes())[0])


def run(words: list[str]) -> int:
    """Change what the options say, then run the verb behind ``--``."""
    place = words.index("--")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kill", nargs=3, metavar=("FUNCTION", "WHEN", "CALL"))
    parser.add_argument("--clock", type=Path, metavar="FILE")
    args = parser.parse_args(words[:place])
    if args.kill:
        kill_at(args.kill[0], args.kill[1], int(args.kill[2]))
    if args.clock:
        live_by(args.clock)
    return main(words[place + 1 :])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
