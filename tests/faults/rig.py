"""Runs a verb of flatwatt and kills it at a chosen call of a chosen function, as a power cut or `kill -9` would.

    python -m tests.faults.rig agent.deliver.spool:Spool.receipt before 3 run -c gateway.toml

Nothing in the product knows of this: the function is wrapped from outside, before the verb starts.
"""

import functools
import importlib
import os
import signal
import sys
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


if __name__ == "__main__":
    kill_at(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    sys.exit(main(sys.argv[4:]))
