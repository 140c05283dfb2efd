"""Take over what is readable of a damaged database: every record goes through the same checks as on its arrival."""

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from agent.deliver import wire
from agent.errors import EvidenceError
from collector.ingest.batch import Batch
from collector.ingest.enrolled import Enrolled
from collector.ingest.reading import stored_record
from collector.store.ledger import Ledger
from collector.store.salvage import Row, Salvage, salvaging

BATCH = 500  # records of one commit

_log = logging.getLogger(__name__)


def recover(damaged: Path, ledger: Ledger) -> None:
    """Fill a new database from a damaged one; what is missing then, gateways are asked for, or it is told as lost."""
    count = 0
    with salvaging(damaged) as salvage:
        _take_gateways(salvage, ledger)
        rows = salvage.records()
        while block := list(islice(rows, BATCH)):
            count += len(block)
            with ledger.transaction():
                batch = Batch(ledger, Enrolled(), block[-1][4])
                for topic, payload in _messages(block):
                    batch.add(topic, payload)
                batch.finish()
        with ledger.transaction():
            ledger.findings.restore(salvage.findings())
    _log.info("%s: %d records taken over; %d rows could not be read", damaged, count, salvage.unreadable)


def _take_gateways(salvage: Salvage, ledger: Ledger) -> None:
    with ledger.transaction():
        keys = salvage.keys()
        for gateway, public_key, payload, received_s in salvage.gateways():
            try:
                status = wire.decode(payload)
            except EvidenceError:
                continue
            if isinstance(status, wire.Status):
                ledger.gateways.put_status(status, payload, received_s, goodbye=False)
                for _, key, since_s, how in (one for one in keys if one[0] == gateway):
                    ledger.gateways.pin(gateway, key, how, since_s)
                ledger.gateways.pin(gateway, public_key, "recovered", received_s)


def _messages(rows: list[Row]) -> Iterator[tuple[str, bytes]]:
    """Give topic and payload as they arrived; the topic says nothing that the payload does not."""
    for _, gateway, kind, payload, _ in rows:
        try:
            record = stored_record(payload)
        except EvidenceError:
            continue  # its bytes are damaged: it is missing then
        meter = record.meter if isinstance(record, wire.Summary | wire.Alarm | wire.Event) else None
        yield wire.topic(gateway, kind, meter), payload
