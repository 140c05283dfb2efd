"""What the poller knows of its buses and meters, in one file that ``flatwatt status`` shows.

``docs/operations.md`` says what each number means.
"""

import json
import math
from pathlib import Path
from typing import Any

from agent.acquire.poll.statistics import BusStatistics, MeterStatistics, PollStatistics
from agent.errors import InputError

STATUS_FILE = "status.json"
PERIOD_S = 10.0  # between two writings: cheap enough, and fresh enough for a person at the meters


def write_status(path: Path, statistics: PollStatistics, time_s: float) -> None:
    """Replace the file by the counts as they stand at ``time_s``. Raises OSError."""
    status = {
        "time_s": time_s,
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
        status["buses"], status["meters"], status["time_s"]
    except FileNotFoundError:
        raise InputError(f"{path} is not there; has `flatwatt run` been started with this configuration?") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}; the running agent writes it anew within 10 s") from None
    return dict(status)


def _plain(counts: BusStatistics | MeterStatistics) -> dict[str, Any]:
    """Give what JSON can hold: a number that is not finite is not known."""
    values = ((name, getattr(counts, name)) for name in counts.__slots__)
    return {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in values}
