"""Orders that change how the gateway works, or look into it."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from agent.config import GatewayConfig, load_gateway
from agent.deliver.command_table import Value
from agent.deliver.identity.keys import public_pem
from agent.deliver.spool.spool import Spool
from agent.errors import FlatwattError
from agent.operate.executor import Outcome
from agent.operate.interval import SLOT, SetInterval, in_force
from agent.operate.reload import Reload
from agent.operate.resend import Resend
from tests.agent.deliver.centre import GATEWAY, fill
from tests.operator import Operator

CONFIG = """
id = "campus-01"
[site]
name = "Campus"
kind = "campus"
[poll]
period_s = 1.0
slow_period_s = 60.0
window_s = 900
[mqtt]
url = "mqtt://127.0.0.1:9"
[commands]
operator_key_file = "operator.pem"
[[bus]]
name = "hall"
url = "tcp://127.0.0.1:9"
[[meter]]
id = "main"
bus = "hall"
unit = 1
profile = "eastron_sdm630"
"""


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """An empty spool."""
    with closing(Spool(tmp_path / "spool.db", GATEWAY)) as spool:
        yield spool


def configuration(folder: Path, old: str = "", new: str = "") -> GatewayConfig:
    """Write and read a configuration, with one thing changed."""
    (folder / "operator.pem").write_bytes(public_pem(Operator().public_key))
    (folder / "nonsense.pem").write_text("nonsense")
    (folder / "gateway.toml").write_text(CONFIG.replace(old, new, 1))
    return load_gateway(folder / "gateway.toml")


def brought(order: object, arguments: Mapping[str, Value]) -> Outcome:
    """Carry out an order; give what it brought."""
    outcomes: list[Outcome | FlatwattError] = []
    order(arguments, outcomes.append)  # type: ignore[operator]
    [outcome] = outcomes
    assert isinstance(outcome, Outcome)
    return outcome


def test_what_is_still_there_is_sent_again_and_the_rest_is_told(spool: Spool) -> None:
    """The spool forgets what a receipt covers; the collector has that."""
    fill(spool, 10)
    spool.receipt(4)
    asked: list[tuple[int, int]] = []

    outcome = brought(Resend(spool, lambda *range_: asked.append(range_)), {"from_seq": 3, "through_seq": 99})

    assert asked == [(5, 10)]
    assert (outcome.data["sent"], outcome.data["gone"]) == (6, 2)


@pytest.mark.parametrize(
    ("first", "last", "why"), [(5, 4, "lies before from_seq"), (11, 12, "the newest record of stream .* is 10")]
)
def test_a_range_that_never_was_cannot_be_sent_again(spool: Spool, first: int, last: int, why: str) -> None:
    """A mistake of the operator, not a loss."""
    fill(spool, 10)

    with pytest.raises(FlatwattError, match=why):
        brought(Resend(spool, lambda *_: None), {"from_seq": first, "through_seq": last})


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "name period_s, window_s or both"),
        ({"window_s": 700}, "does not divide an hour"),
        ({"period_s": 7}, "slow_period_s 60 is no multiple of period_s = 7"),
    ],
)
def test_an_interval_keeps_the_rules_of_the_file(tmp_path: Path, arguments: dict[str, Value], why: str) -> None:
    """Windows tile the hour, and hold whole ticks."""
    with pytest.raises(FlatwattError, match=why):
        brought(SetInterval(configuration(tmp_path).poll, lambda _order: 0), arguments)


def test_an_interval_by_command_outlives_a_restart(tmp_path: Path, spool: Spool) -> None:
    """It lies in the spool, and holds as long as it fits the file and somebody could take it back."""
    config = configuration(tmp_path)

    def keep(order: bytes) -> int:
        with spool.batch() as batch:
            batch.slots[SLOT] = order
        return 0

    brought(SetInterval(config.poll, keep), {"window_s": 300})
    nobodys = configuration(tmp_path, '[commands]\noperator_key_file = "operator.pem"')
    misfit = configuration(tmp_path, "period_s = 1.0\nslow_period_s = 60.0", "period_s = 0.5\nslow_period_s = 45.5")

    assert in_force(config, spool).poll.window_s == 300
    assert in_force(nobodys, spool) is nobodys
    assert in_force(misfit, spool) is misfit


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("unit = 1", "unit = 999", r"running configuration stays: .*gateway.toml:20: meter\[1\].unit: 999 is wrong"),
        ('id = "campus-01"', 'id = "campus-02"', "another id needs a start of the agent"),
        ("[site]", 'state_dir = "elsewhere"\n[site]', "another state_dir needs a start of the agent"),
        ('"operator.pem"', '"nonsense.pem"', "not a public key in PEM form"),
    ],
)
def test_a_file_that_cannot_come_in_force_changes_nothing(tmp_path: Path, old: str, new: str, why: str) -> None:
    """Every mistake is told, also one in the files that it names, before anything is given up."""
    running = configuration(tmp_path)

    def renew(_config: GatewayConfig) -> int:
        raise AssertionError("it came in force")

    with pytest.raises(FlatwattError, match=why):
        brought(Reload(running, lambda: configuration(tmp_path, old, new), renew), {})
