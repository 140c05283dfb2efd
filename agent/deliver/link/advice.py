"""What to do about the delivery, from what ``status.json`` says of it: what is wrong, and the next step."""

from collections.abc import Iterator, Mapping
from typing import Any

_SILENT_S = 300.0  # without a receipt, though there is a connection and something to confirm
_NEARLY_FULL = 0.8  # of the spool's bound
_MANY_AGAIN = 0.1  # of what was sent; a line that breaks now and then costs less
_SOME = 1000  # records sent before that share says anything


def age(seconds: float) -> str:
    """Give a time in the unit that fits it.

    >>> age(42.4), age(7260), age(200_000)
    ('42 s', '2 h', '2 days')
    """
    for limit, unit_s, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def delivery_advice(delivery: Mapping[str, Any]) -> list[str]:
    """Give one line for each trouble; nothing where all is well."""
    return [*_of_connection(delivery), *_of_receipts(delivery), *_of_spool(delivery)]


def _of_connection(delivery: Mapping[str, Any]) -> Iterator[str]:
    if not delivery["connected"]:
        yield f"{delivery['error'] or 'no connection to the broker yet'}; records wait in the spool"
    elif delivery["error"]:
        yield delivery["error"]
    if delivery["set_aside"]:
        yield f"{delivery['set_aside']} records are not taken by the broker: see its access rules and max_packet_size"
    if delivery["sent"] >= _SOME and delivery["sent_again"] > _MANY_AGAIN * delivery["sent"]:
        share = delivery["sent_again"] / delivery["sent"]
        yield f"{share:.0%} of what is sent goes twice: the line breaks often, or the broker drops what it takes"


def _of_receipts(delivery: Mapping[str, Any]) -> Iterator[str]:
    oldest_s = delivery["oldest_unreceipted_s"]
    if not delivery["connected"] or oldest_s is None or oldest_s < _SILENT_S:
        return
    last_s = delivery["last_receipt_s"]
    if delivery["delivery"] == "broker":
        yield "the broker knows of nobody who reads what this gateway sends: start a subscriber of flatwatt/v1/#"
    elif last_s is None:
        yield f"no receipt since the start, {age(oldest_s)} ago: is `flatwatt collect` running, at the same broker?"
    elif last_s >= _SILENT_S:
        yield f"no receipt for {age(last_s)}: is the collector running?"


def _of_spool(delivery: Mapping[str, Any]) -> Iterator[str]:
    if delivery["storage"] == "memory":
        why = delivery["why_memory"]
        yield f"records are kept in memory, and a restart loses them: {why}; free some space, or replace the card"
    share = delivery["spool_bytes"] / delivery["spool_bound_bytes"]
    if share > _NEARLY_FULL:
        yield f"the spool is {share:.0%} full: at its bound the oldest records give way, only their energy is kept"
