"""Raw samples, as a signed command takes them out."""

import base64
import gzip
import math
import random
import struct
from collections.abc import Mapping

import pytest

from agent.deliver.command_table import Value
from agent.errors import FlatwattError
from agent.operate.capture import MOST_BYTES, MOST_SAMPLES, Capture, Recent
from agent.operate.executor import Outcome
from agent.records import Sample

START_S = 1_800_000_000.0


class Scene:
    """A meter that is sampled once a second, and a capture of it."""

    def __init__(self, period_s: float = 1.0) -> None:
        self.period_s = period_s
        self.now_s = START_S
        self.recent = Recent(["main"])
        self.capture = Capture(self.recent, period_s, lambda: self.now_s)
        self.outcomes: list[Outcome | FlatwattError] = []

    def sample(self, count: int, values: Mapping[str, float] | None = None) -> None:
        """Let ``count`` ticks pass."""
        for _ in range(count):
            measured = {"active_power_w": self.now_s - START_S} if values is None else values
            self.recent.add([Sample("main", self.now_s, "ok", measured)], self.now_s)
            self.now_s += self.period_s

    def order(self, **arguments: Value) -> None:
        """Order a capture."""
        self.capture({"meter": "main"} | arguments, self.outcomes.append)

    def lines(self) -> list[str]:
        """Give the CSV of the only capture."""
        [outcome] = self.outcomes
        assert isinstance(outcome, Outcome)
        return gzip.decompress(base64.b64decode("".join(outcome.parts))).decode().splitlines()


def test_the_next_seconds_are_captured() -> None:
    """From now on, told when they are over, in the form that replay reads."""
    scene = Scene()
    scene.sample(10)

    scene.order(seconds=3)
    scene.sample(3)
    before = list(scene.outcomes)
    scene.sample(1)

    assert before == []
    assert scene.lines() == [
        "time,meter,active_power_w",
        "2027-01-15T08:00:10Z,main,10",
        "2027-01-15T08:00:11Z,main,11",
        "2027-01-15T08:00:12Z,main,12",
    ]


def test_what_has_been_is_captured_at_once() -> None:
    """What the last quarter of an hour was like, after the fact."""
    scene = Scene()
    scene.sample(100)

    scene.order(seconds=2, from_s=int(START_S) + 50)

    assert [line.split(",")[2] for line in scene.lines()[1:]] == ["50", "51"]


def test_what_was_not_measured_is_an_empty_cell() -> None:
    """No zero is invented, and a slow quantity stands where it was read."""
    scene = Scene()
    scene.sample(1, {"active_power_w": math.nan})
    scene.sample(1, {"active_power_w": 5.0, "thd_current_l1_percent": 2.5})

    scene.order(seconds=2, from_s=int(START_S))
    scene.sample(1)

    assert [line.split(",")[2:] for line in scene.lines()] == [
        ["active_power_w", "thd_current_l1_percent"],
        ["", ""],
        ["5", "2.5"],
    ]


@pytest.mark.parametrize("value", [230.10000610351562, 48_211_300.25, 1e-12, -0.1, 3.4e38, 2.0**53 - 1])
def test_a_value_is_written_without_loss(value: float) -> None:
    """As short as it can be read back, a register's float32 or a scaled integer."""
    scene = Scene()
    scene.sample(1, {"active_power_w": value})

    scene.order(seconds=1, from_s=int(START_S))
    scene.sample(1)

    cell = float(scene.lines()[1].split(",")[2])
    assert value in (cell, struct.unpack("<f", struct.pack("<f", cell))[0] if abs(cell) < 3.4e38 else cell)


def test_a_meter_that_flickers_in_every_digit_stays_within_the_bound() -> None:
    """What does not fit is left out at the end, and told; the parts stay short."""
    rng = random.Random(5)
    scene = Scene()
    for _ in range(MOST_SAMPLES):
        scene.sample(1, {f"q{number}": rng.random() for number in range(12)})

    scene.order(seconds=MOST_SAMPLES - 1, from_s=int(START_S))
    scene.sample(1)

    [outcome] = scene.outcomes
    assert isinstance(outcome, Outcome)
    assert sum(map(len, outcome.parts)) <= MOST_BYTES * 4 // 3 + 4
    assert max(map(len, outcome.parts)) <= 24_000
    assert outcome.data["left_out"] == MOST_SAMPLES - 1 - int(str(outcome.data["samples"])) > 0


@pytest.mark.parametrize(
    ("arguments", "period_s", "why"),
    [
        ({"meter": "lift", "seconds": 5}, 1.0, "no meter 'lift'; this gateway has main"),
        ({"seconds": 900}, 0.1, "take 90 s"),
        ({"seconds": 5, "from_s": int(START_S) + 3600}, 1.0, "more than 900 s ahead"),
    ],
)
def test_what_cannot_be_captured_is_refused(arguments: dict[str, Value], period_s: float, why: str) -> None:
    """An unknown meter, more than is remembered, a far future."""
    with pytest.raises(FlatwattError, match=why):
        Scene(period_s).order(**arguments)


def test_a_time_that_is_forgotten_is_said_to_be() -> None:
    """A reply without samples would look like a meter without values."""
    scene = Scene()
    scene.sample(MOST_SAMPLES + 100)

    scene.order(seconds=10, from_s=int(START_S))

    [outcome] = scene.outcomes
    assert str(outcome).startswith("nothing of main is remembered")
