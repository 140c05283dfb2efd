"""Where the meters and the broker are, and how a program is started beside them."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
REGISTERS = 40
ONE_THREAD = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # as deploy/flatwatt-agent.service sets it


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """Where the meters and the broker are, and a folder for a program's own files."""

    first_port: int
    meters: int
    broker_port: int
    installed: Path  # what bench/peers/install made
    folder: Path

    @property
    def ports(self) -> range:
        """One port a meter."""
        return range(self.first_port, self.first_port + self.meters)


def run(facility: Facility, *words: str | Path, env: Mapping[str, str] = ONE_THREAD) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; what it prints goes to ``log`` in its folder."""
    log = (facility.folder / "log").open("ab")
    command = [*map(str, words)]
    return subprocess.Popen(command, stdout=log, stderr=log, cwd=facility.folder, env=env, start_new_session=True)
