"""What the poller knows of its buses and meters, and the publisher of its way to the centre, in one file.

``flatwatt status`` shows it. It is written when somebody asks: a memory card wears out by writing, and
hardly anybody looks. To ask is to make the file ``status.wanted`` beside it. ``docs/operations.md`` says
what each number means.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.acquire.poll.statistics import BusStatistics, MeterStatistics, PollStatistics
from agent.errors import InputError

STATUS_FILE = "status.json"
LOOK_S = 1.0  # between two looks whether somebody asks; a look writes nothing
KEPT_S = 3600.0  # an agent that died leaves its counts of an hour ago or less


def ask_for_status(path: Path) -> None:
    """Ask the running agent to write the file anew. Raises OSError."""
    _wanted(path).touch()


def stop_asking(path: Path) -> bool:
    """Take the question back; tell whether there was one. Raises OSError."""
    try:
        _wanted(path).unlink()
    except FileNotFoundError:
        return False
    return True


def write_status(path: Path, statistics: PollStatistics, delivery: Mapping[str, Any], time_s: float) -> None:
    """Replace the file by the counts as they stand at ``time_s``; ``delivery`` as JSON can hold it. Raises OSError."""
    status = {
        "time_s": time_s,
        "delivery": delivery,
        "buses": {name: _plain(bus) for name, bus in statistics.buses.items()},
        "meters": {name: _plain(meter) for name, meter in statistics.meters.items()},
    }
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(status))
    fresh.replace(path)


def read_status(path: Path) -> dict[str, Any]:
    """Give the counts as they were written; what is not known is None. Raises InputError."""
    try:
        status = json.loads(path.read_text())
        status["buses"], status["meters"], status["delivery"], status["time_s"]
    except FileNotFoundError:
        raise InputError(f"{path} is not there; has `flatwatt run` been started with this configuration?") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}; the running agent writes it anew when asked") from None
    return dict(status)


def _wanted(path: Path) -> Path:
    return path.with_suffix(".wanted")


def _plain(counts: BusStatistics | MeterStatistics) -> dict[str, Any]:
    """Give what JSON can hold: a number that is not finite is not known."""
    values = ((name, getattr(counts, name)) for name in counts.__slots__)
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values}
