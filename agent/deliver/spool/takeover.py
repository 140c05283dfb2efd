"""Records that another stream of this gateway held: what is not confirmed of them is said again in the present one.

The collector takes a window and a state of an alarm once, so what it had already is not doubled.
"""

from collections.abc import Iterable

from agent.deliver import wire
from agent.deliver.spool.entry import enter, enter_event
from agent.deliver.spool.file import Row
from agent.deliver.spool.spool import Batch
from agent.errors import EvidenceError


def take_over(batch: Batch, gateway: str, rows: Iterable[Row]) -> int:
    """Append these records to the batch under new numbers; give how many of them.

    Checkpoints are left out, for they sign the numbers of the other stream, and so do its gaps: of those
    the energy is told. Raises nothing: a record that cannot be read is left out, too.
    """
    count = 0
    for _, _, _, payload, _ in rows:
        try:
            message = wire.decode(payload)
        except EvidenceError:
            continue
        if isinstance(message, wire.Gap):
            _tell(batch, gateway, message)
        elif isinstance(message, wire.Summary | wire.Alarm | wire.Event | wire.Reply):
            enter(batch, gateway, message)
        else:
            continue
        count += 1
    return count


def _tell(batch: Batch, gateway: str, gap: wire.Gap) -> None:
    data: dict[str, float | int | str | None] = {
        "stream": gap.stream,
        "from_seq": gap.from_seq,
        "through_seq": gap.through_seq,
        "cause": gap.cause,
    }
    for total in gap.totals:
        data |= {f"{total.meter}_load_wh": total.load_wh, f"{total.meter}_mining_wh": total.mining_wh}
    text = f"records {gap.from_seq} to {gap.through_seq} of stream {gap.stream} had been dropped; this was their energy"
    enter_event(batch, gateway, "earlier_gap", gap.time_s, "I", text, data)  # as it was told, by a clock of then
