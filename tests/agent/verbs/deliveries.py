"""What an agent says of its way to the centre, for the tests of what is shown of it."""

from typing import Any


def delivery(**changes: object) -> dict[str, Any]:
    """A delivery without trouble; ``changes`` replace what it says."""
    sound = {
        "broker": "broker.example:8883",
        "delivery": "collector",
        "connected": True,
        "protocol": "5",
        "pending": 0,
        "oldest_unreceipted_s": None,
        "receipt_lag_s": 0.3,
        "last_receipt_s": 41.0,
        "is_late": False,
        "sent": 5000,
        "sent_again": 12,
        "set_aside": 0,
        "error": "",
        "stream": "9f86d081",
        "last_seq": 5000,
        "receipted": 5000,
        "storage": "disk",
        "why_memory": "",
        "spool_bytes": 2**20,
        "spool_bound_bytes": 2**28,
        "clock": "S",
        "period_s": 1.0,
        "window_s": 900,
        "interval": "file",
    }
    return sound | changes
