"""Windows of records for the tests of the spool: summaries, alarms and a checkpoint, as the pipeline writes them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from agent.deliver import wire
from agent.deliver.identity.keys import GatewayKey, load_gateway_key
from agent.deliver.spool.entry import enter
from agent.deliver.spool.sacrifice import Bounds
from agent.deliver.spool.spool import Spool
from agent.deliver.spool.upkeep import Upkeep
from agent.records import ClockReading
from tests.agent.deliver.centre import GATEWAY

WINDOW_S = 900
DAY_S = 86_400
START_S = 20_500 * DAY_S
Opened = Callable[[], tuple[Spool, Upkeep]]
NOW = ClockReading(utc_s=START_S, boot_s=1.0, boot_id="b", trust="S", error_s=0.0)
LOOSE = Bounds(spool_bytes=2**28, windows=100_000, disk_free_bytes=0)


def key_in(folder: Path) -> GatewayKey:
    """Give the gateway's key."""
    return load_gateway_key(folder / "key.pem")


def summary(meter: str, start_s: int, power_w: float = 1000.0) -> wire.Summary:
    """Give one meter's window; it drew a quarter of ``power_w`` in Wh, half of it by mining."""
    return wire.Summary(
        v=1, kind="summary", stream="", seq=0, meter=meter, start_s=start_s, window_s=WINDOW_S, coverage=1.0,
        active_power_w=power_w, active_energy_import_wh=float(start_s - START_S), verdict="normal", score=0.1,
        mining_w=(0.0, power_w / 2, power_w),
    )  # fmt: skip


def alarm(name: str, state: str, time_s: int) -> wire.Alarm:
    """Give a state of an alarm."""
    return wire.Alarm(
        v=1, kind="alarm", stream="", seq=0, meter="m", alarm=name, state=state, time_s=time_s, raised_s=time_s,  # type: ignore[arg-type]
        verdict="mining", score=0.9, mining_w=(0.0, 1.0, 2.0), mining_share=0.5, since_s=None, reasons=[],
    )  # fmt: skip


def tell(
    spool: Spool, key: GatewayKey, window: int, *, meters: int = 2, alarms: Sequence[tuple[str, str]] = ()
) -> None:
    """Append the records of one window, the ``window``-th of the story."""
    start_s = START_S + window * WINDOW_S
    with spool.batch() as batch:
        for number in range(meters):
            enter(batch, GATEWAY, summary(f"m{number}", start_s))
        for name, state in alarms:
            enter(batch, GATEWAY, alarm(name, state, start_s + WINDOW_S))
        checkpoint = key.checkpoint(GATEWAY, batch.stream, batch.next_seq, batch.head, start_s + WINDOW_S)
        enter(batch, GATEWAY, checkpoint)
        batch.slots["window"] = str(window).encode()


def records(spool: Spool, kind: str) -> list[wire.Message]:
    """Give what waits of a kind, read."""
    return [wire.decode(envelope.payload) for envelope in spool.pending(0, 1_000_000) if envelope.kind == kind]


def events(spool: Spool) -> list[str]:
    """Name the events that wait."""
    return [event.event for event in records(spool, "event") if isinstance(event, wire.Event)]


def field(message: wire.Message, name: str) -> object:
    """Give a field of a message of whatever kind."""
    return msgspec.structs.asdict(message)[name]


def summaries(spool: Spool) -> list[object]:
    """Give the windows of meter m0 that wait."""
    return [field(summary, "start_s") for summary in records(spool, "summary") if field(summary, "meter") == "m0"]


def damaged(path: Path, text: bytes) -> None:
    """Flip a bit behind the last place where a text stands in a file."""
    data = bytearray(path.read_bytes())
    data[data.rindex(text) + len(text)] ^= 1
    path.write_bytes(data)
