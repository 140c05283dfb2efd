"""Golden polls: the words that a meter has on the wire, and the quantities that a poll must make of them.

``golden/<profile>.toml`` has a table for each poll. The first one names every entry of the profile:

    [import]
    active_power_w = { input = 0x0034, words = "44BB 9000", is = 1500.5 }
    active_energy_import_wh = { is = 123456.0 } # a sum, which has no register of its own
    energy_t1_wh = { holding = 801, words = "40FE 2400 0000 0000" } # a parameter, which is not reported
    model_code = { holding = 0x000B, words = "0155", is = 341, alone = true } # there only for a request of this length

Each later one says what differs from the first: ``active_power_w = { words = "C49A 5000", is = -1234.5 }``.

``[meter]`` says what the meter refuses and wants: ``max_registers``, ``even``, ``unlisted = "refused"``,
``refused = [[first, last]]``, ``min_gap_ms``, ``min_timeout_ms``, ``serial = "9600 8N1"``. ``one_way`` is the reason
why it reports no negative power. ``[sunspec]`` says where a map starts and which models it has
(``models = [[1, 66], [203, 105]]``, ID and length); the addresses of the entries are offsets into the last one.

The words are the maker's own example or follow from the facts by plain ``struct``, never by our codec: so profile
and golden file find each other's mistakes.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.acquire.bus.fake import FakeBus
from agent.errors import BusError, BusReason
from agent.records import ReadRequest

UNIT = 1
_FOLDER = Path(__file__).parent / "golden"
_FUNCTIONS = {"holding": 3, "input": 4}
_UNLISTED = 0x7E57  # what stands between the values of a meter that lets a request read across
_SUNS = (0x5375, 0x6E53)
_END_MODEL = (0xFFFF, 0)


@dataclass(frozen=True)
class GoldenPoll:
    """One poll: the lines of its table, completed by those of the first."""

    title: str
    meter: Mapping[str, Any]
    sunspec: Mapping[str, Any]
    entries: Mapping[str, Mapping[str, Any]]

    @property
    def values(self) -> dict[str, float]:
        """What the poll must report."""
        return {name: float(entry["is"]) for name, entry in self.entries.items() if "is" in entry}


def golden_names() -> tuple[str, ...]:
    """Give the profiles that have a golden file."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def golden_polls(name: str) -> tuple[GoldenPoll, ...]:
    """Give the polls of a profile's golden file."""
    tables = tomllib.loads((_FOLDER / f"{name}.toml").read_text())
    meter, sunspec = tables.pop("meter", {}), tables.pop("sunspec", {})
    first = next(iter(tables.values()))
    return tuple(
        GoldenPoll(title, meter, sunspec, {entry: first[entry] | changed.get(entry, {}) for entry in first | changed})
        for title, changed in tables.items()
    )


class GoldenMeter(FakeBus):
    """Has the words of one poll, and refuses what the real meter refuses; ``refused`` lists what it was asked amiss."""

    def __init__(self, poll: GoldenPoll) -> None:
        placed = list(_placed(poll))
        self._meter = poll.meter
        self._alone = {where: words for where, words, alone in placed if alone}
        self._listed = {
            (function, address + offset): word
            for (function, address), words, alone in placed
            if not alone
            for offset, word in enumerate(words)
        }
        self.refused: list[ReadRequest] = []
        super().__init__({(UNIT, function, address): word for (function, address), word in self._listed.items()})

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """Give the words. Raises BusError."""
        self.requests.append(request)
        alone = self._alone.get((request.function, request.address), ())
        if len(alone) == request.count:
            return alone
        places = [(request.function, request.address + offset) for offset in range(request.count)]
        if not self._acceptable(request) or not all(map(self._readable, places)):
            self.refused.append(request)
            raise BusError(BusReason.EXCEPTION, "the meter refused: exception 2, illegal data address", 2)
        return tuple(self._listed.get(place, _UNLISTED) for place in places)

    def _acceptable(self, request: ReadRequest) -> bool:
        longest = self._meter.get("max_registers", 125)
        odd = request.address % 2 or request.count % 2
        return request.count <= longest and not (odd and self._meter.get("even", False))

    def _readable(self, place: tuple[int, int]) -> bool:
        if place in self._listed:
            return True
        forbidden = any(first <= place[1] <= last for first, last in self._meter.get("refused", ()))
        return not forbidden and self._meter.get("unlisted") != "refused" and place not in self._alone


def _placed(poll: GoldenPoll) -> Iterator[tuple[tuple[int, int], tuple[int, ...], bool]]:
    """Give (function, address), words, and whether they are there only for a request of their own."""
    base = 0
    if poll.sunspec:
        *headers, (base, _) = _sunspec_headers(poll.sunspec)
        for address, words in headers:
            yield (3, address), words, False
    for entry in poll.entries.values():
        for table, function in _FUNCTIONS.items():
            if table in entry:
                yield (function, base + entry[table]), _words(entry["words"]), entry.get("alone", False)


def _sunspec_headers(sunspec: Mapping[str, Any]) -> list[tuple[int, tuple[int, ...]]]:
    """Give address and words of the mark, of each model's ID and length, and of the end; the last model comes last."""
    address = sunspec["start"]
    headers = [(address, _SUNS)]
    address += len(_SUNS)
    for model, length in sunspec["models"]:
        headers.append((address, (model, length)))
        address += 2 + length
    return [*headers[:-1], (address, _END_MODEL), headers[-1]]


def _words(text: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in text.split())
