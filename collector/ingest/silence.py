"""Who is not heard: a gateway cannot report its own death, nor that somebody cut its line."""

from datetime import UTC, datetime

from collector.ingest.verify import report
from collector.store.findings import Finding
from collector.store.gateways import Heard
from collector.store.ledger import Ledger

WINDOWS = 3  # one may be late by a poll and one by a reconnection
LEAST_S = 120  # short windows: a reconnection takes up to a minute
GOODBYE_S = 86_400  # who took leave may be away for a day


def look(ledger: Ledger, listening_s: float, now_s: int) -> bool:
    """Note each gateway that was not heard for too long while we listened since ``listening_s``; say if any is new."""
    is_any = False
    for heard in ledger.gateways.heard():
        if now_s - max(heard.heard_s, listening_s) > _patience_s(heard):
            since = f"{datetime.fromtimestamp(heard.heard_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
            why = "it took leave then and did not come back" if heard.goodbye else "it did not take leave"
            is_any |= report(ledger, _silence(heard, f"not heard since {since}: {why}", now_s))
    return is_any


def _patience_s(heard: Heard) -> int:
    return GOODBYE_S if heard.goodbye else max(LEAST_S, WINDOWS * heard.window_s)


def _silence(heard: Heard, text: str, now_s: int) -> Finding:
    return Finding(
        gateway=heard.gateway, stream="", seq=0, to_seq=0, kind="silence", text=text, evidence=b"", time_s=now_s
    )
