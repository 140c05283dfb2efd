"""What was learned of the meters, kept over a restart in one small file of the state folder."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.acquire.learn.learned import NOTHING, Learned

logger = logging.getLogger(__name__)

LEARNED_FILE = "learned.json"  # in a gateway's state folder
_VERSION = 1


class LearnedBook:
    """Lessons by bus, unit and profile; another profile, or a changed one, begins anew.

    A file that cannot be understood is set aside as ``….damaged``: its lessons are learned again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lessons = self._read()

    def get(self, url: str, unit: int, digest: str) -> Learned:
        """Give what is known of a meter."""
        return self._lessons.get(_key(url, unit, digest), NOTHING)

    def put(self, url: str, unit: int, digest: str, learned: Learned) -> None:
        """Remember it. A disk that is full costs the memory, not the measuring."""
        self._lessons[_key(url, unit, digest)] = learned
        meters = {key: _as_json(lesson) for key, lesson in self._lessons.items() if not lesson.empty}
        fresh = self._path.with_suffix(".new")
        try:
            with fresh.open("w") as file:
                json.dump({"version": _VERSION, "meters": meters}, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            logger.warning("%s cannot be written (%s); what was learned is lost at the next start", self._path, error)

    def _read(self) -> dict[str, Learned]:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            return self._set_aside(error)
        try:
            book = json.loads(text)
            if book["version"] != _VERSION:
                raise ValueError(f"it has version {book['version']}, this is {_VERSION}")
            return {str(key): _from_json(lesson) for key, lesson in book["meters"].items()}
        except (ValueError, ArithmeticError, KeyError, TypeError, AttributeError) as error:
            return self._set_aside(error)

    def _set_aside(self, why: Exception) -> dict[str, Learned]:
        aside = self._path.with_suffix(".damaged")
        logger.warning("%s cannot be read (%s) and is kept as %s; plans learn anew", self._path, why, aside.name)
        try:
            self._path.replace(aside)
        except OSError as error:
            logger.warning("%s cannot be set aside: %s", self._path, error)
        return {}


def _key(url: str, unit: int, digest: str) -> str:
    return f"{url} {unit} {digest}"


def _as_json(learned: Learned) -> dict[str, Any]:
    return {
        "since_s": learned.since_s,
        "forbidden": learned.forbidden,
        "refused": learned.refused,
        "max_registers": learned.max_registers,
        "identity": learned.identity,
    }


def _from_json(lesson: Mapping[str, Any]) -> Learned:
    """Make the lesson of its JSON. Raises what a wrong one raises."""
    limit = lesson["max_registers"]
    return Learned(
        since_s=float(lesson["since_s"]),
        forbidden=tuple((_address(first), _address(last)) for first, last in lesson["forbidden"]),
        refused=tuple(str(name) for name in lesson["refused"]),
        max_registers=None if limit is None else max(1, int(limit)),
        identity={str(name): float(value) for name, value in lesson["identity"].items()},
    )


def _address(value: Any) -> int:  # noqa: ANN401 - what a file may hold
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0xFFFF:
        raise ValueError(f"{value!r} is no address")
    return value
