"""What ``flatwatt status`` shows of the way to the centre, and what to do about it."""

import pytest

from agent.deliver.link.advice import delivery_advice
from agent.verbs.status import _delivery
from tests.agent.verbs.deliveries import delivery


def test_one_look_tells_whether_the_centre_has_everything() -> None:
    """Who confirms, what waits and for how long, and how full the spool is."""
    rows = dict(_delivery(delivery(pending=21, oldest_unreceipted_s=7300.0, last_receipt_s=7290.0, receipt_lag_s=2.0)))

    assert rows == {
        "broker": "broker.example:8883, connected, MQTT 5",
        "confirmed by": "receipts of the collector",
        "without receipt": "21 records, the oldest for 2 h",
        "last receipt": "2 h ago, for a record that waited for 2 s",
        "sent": "5000 records, 12 of them again",
        "spool": "1.0 of 256 MiB, 0%, in stream 9f86d081",
        "clock": "synchronised",
        "interval": "polls every 1 s, windows of 900 s",
    }


def test_what_is_out_of_the_ordinary_is_said() -> None:
    """The broker's word alone, no receipt yet, records in memory, a clock that nobody set."""
    rows = dict(
        _delivery(delivery(delivery="broker", last_receipt_s=None, storage="memory", clock="U", connected=False))
    )

    assert rows["broker"] == "broker.example:8883, not connected, MQTT 5"
    assert rows["confirmed by"] == "the broker alone"
    assert rows["last receipt"] == "none since the start"
    assert rows["spool"] == "1.0 of 256 MiB, 0%, in memory only"
    assert rows["clock"] == "unknown: not set since the boot"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"connected": False, "error": "no connection to the broker at b:1: no answer"},
            "at b:1: no answer; records wait",
        ),
        ({"set_aside": 3}, "3 records are not taken by the broker: see its access rules"),
        ({"sent_again": 900}, "18% of what is sent goes twice: the line breaks often"),
        ({"oldest_unreceipted_s": 7300.0, "last_receipt_s": 7290.0}, "no receipt for 2 h: is the collector running?"),
        (
            {"oldest_unreceipted_s": 400.0, "last_receipt_s": None},
            "no receipt since the start, 7 min ago: is",
        ),
        ({"oldest_unreceipted_s": 400.0, "delivery": "broker"}, "nobody who reads what this gateway sends"),
        ({"storage": "memory", "why_memory": "disk full"}, "a restart loses them: disk full; free some space"),
        ({"spool_bytes": 0.9 * 2**28}, "the spool is 90% full: at its bound the oldest records give way"),
    ],
)
def test_each_trouble_comes_with_what_to_do(changes: dict[str, object], said: str) -> None:
    """One line a trouble."""
    (text,) = delivery_advice(delivery(**changes))

    assert said in text


def test_daily_life_is_no_advice() -> None:
    """A receipt that is on its way, a few repetitions, a spool that is used."""
    assert delivery_advice(delivery(pending=40, oldest_unreceipted_s=2.0, spool_bytes=2**27)) == []
