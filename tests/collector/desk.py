"""A collector's database and intake without a broker."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.deliver import chain, wire
from collector.ingest import silence
from collector.ingest.enrolled import Enrolled
from collector.ingest.intake import Intake
from collector.ingest.receipts import Signer
from collector.ingest.subscriber import Delivery
from collector.store.ledger import Ledger
from tests.collector.gateway import START_S, Sent


class Desk:
    """Hands messages to an intake as the subscriber would, one commit a call."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.now_s = START_S + 5.5
        self.signer = Signer(chain.new_key())
        self.told = 0  # how often pages were told of something new
        self._ledger = Ledger(database)
        self._intake = self._new_intake(Enrolled())

    def _new_intake(self, enrolled: Enrolled) -> Intake:
        return Intake(
            self._ledger,
            self.signer,
            enrolled=enrolled,
            now_s=lambda: self.now_s,
            committed=self._told,
            ended=lambda: None,
        )

    def _told(self) -> None:
        self.told += 1

    def commit(self, *messages: Sent, every_stream: bool = False) -> list[wire.ReceiptMessage]:
        """Commit messages together and give the receipts."""
        deliveries = [Delivery(topic, payload, lambda: None) for topic, payload in messages]
        return self._intake.commit(deliveries, every_stream=every_stream)

    def look(self, listening_s: float = 0.0) -> None:
        """Look who is not heard."""
        with self._ledger.transaction():
            silence.look(self._ledger, listening_s, int(self.now_s))

    @contextmanager
    def running(self) -> Iterator[Intake]:
        """Let the intake work by itself for a while, connected."""
        self._intake.start(lambda _topic, _payload: None)
        self._intake.connected()
        yield self._intake
        self._intake.stop()

    def enrol(self, enrolled: Enrolled) -> None:
        """Let in only who is enrolled, from now on."""
        self._intake = self._new_intake(enrolled)

    def close(self) -> None:
        """Close the database."""
        self._ledger.close()
