"""Messages and topics: to the collector, and to the agent."""

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from msgspec import to_builtins

from agent.deliver import chain, wire
from agent.deliver.link.receipts import ReceiptDesk
from agent.deliver.spool.spool import Spool
from agent.errors import EvidenceError
from agent.operate.commands import Book, CommandDesk, NotYetError, RefusalError
from tests.agent.deliver.centre import GATEWAY, fill, receipt
from tests.collector.desk import Desk
from tests.collector.gateway import FakeGateway, Sent
from tests.fuzz.mutate import mutated, mutated_json

_FLEET = 20  # gateways: what one of them may do is bounded, and would soon be all that is fed
_LONG = 2000  # records of one stream


class Collector:
    """MQTT topics and payloads, to the collector's intake with its database."""

    def __init__(self, folder: Path) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self._desk = Desk(folder / "collector.db")
        self._fleet = [FakeGateway(f"campus-{number:02}") for number in range(_FLEET)]
        for gateway in self._fleet:
            self._desk.commit(gateway.status())

    def feed(self, rng: Random) -> None:
        """Commit one spoilt message among right ones."""
        topic, payload = self._message(rng)
        if rng.random() < 0.2:
            topic = mutated(rng, topic.encode()).decode("utf-8", "replace")
        if rng.random() < 0.9:
            payload = mutated_json(rng, payload)
        self._desk.commit((topic, payload))

    def _message(self, rng: Random) -> Sent:
        gateway = rng.choice(self._fleet)
        if gateway.seq > _LONG:  # a stream with a hole is searched again and again: that is slow, and the same
            self._fleet.remove(gateway)
            gateway = FakeGateway(gateway.gateway, rng.randbytes(4).hex())
            self._fleet.append(gateway)
        makes: tuple[Callable[[], Sent], ...] = (
            gateway.summary, gateway.alarm, gateway.event, gateway.reply, gateway.checkpoint, gateway.status,
            lambda: gateway.gap(gateway.seq // 2, gateway.seq),  # of 0 to 0 before the first record: wrong, too
        )  # fmt: skip
        make = rng.choice(makes)
        return make()

    def close(self) -> None:
        """Every row of every table comes from bytes that are kept; the file is whole."""
        self._desk.close()
        with contextlib.closing(sqlite3.connect(self._desk.database)) as db:
            (self.accepted,) = db.execute("SELECT count(*) FROM record").fetchone()
            (rejected,) = db.execute("SELECT coalesce(max(id), 0) FROM rejected").fetchone()
            self.refused["rejected"] = rejected
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            for kind in ("summary", "alarm", "event"):
                orphans = f"SELECT count(*) FROM {kind} AS t WHERE NOT EXISTS (SELECT 1 FROM record AS r WHERE"
                orphans += f" r.gateway = t.gateway AND r.stream = t.stream AND r.seq = t.seq AND r.kind = '{kind}')"
                assert db.execute(orphans).fetchone() == (0,), f"a row of {kind} without the record behind it"
            for payload, seq in db.execute("SELECT payload, seq FROM record"):
                assert getattr(wire.decode(payload), "seq", None) == seq, "a record under another number than its own"
            shown = "SELECT payload, start_s, active_power_w FROM summary JOIN record USING (gateway, stream, seq)"
            for payload, start_s, active_power_w in db.execute(shown):
                said = wire.decode(payload)
                assert isinstance(said, wire.Summary)
                assert (said.start_s, said.active_power_w) == (start_s, active_power_w), "a row says what nobody said"


class Receipts:
    """Receipts, to the agent's desk: no wrong one lets the spool forget."""

    def __init__(self, folder: Path) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self._key = chain.new_key()
        self._spool = Spool(folder / "spool.db", GATEWAY)
        fill(self._spool, 12)
        self._desk = ReceiptDesk(self._spool, chain.public_text(self._key))
        head = self._spool.head_at(7)
        assert head is not None
        self._right = [
            receipt(7, head, stream=self._spool.stream, key=self._key, time_s=1, missing=((9, 10),)),
            receipt(7, head, stream=self._spool.stream, key=chain.new_key(), time_s=1),
        ]

    def feed(self, rng: Random) -> None:
        """Offer a spoilt receipt; what is accepted is what the collector signed."""
        payload = _mostly_mutated(rng, rng.choice(self._right))
        try:
            accepted = self._desk.accept(payload, 1.0)
        except EvidenceError as error:
            self.refused[str(error).split(":")[0].split(" ")[0]] += 1
            return
        if accepted is not None:
            assert (accepted.through, accepted.missing) == (7, ((9, 10),)), "a receipt that nobody signed was believed"
            self.accepted += 1

    def close(self) -> None:
        """No record is gone."""
        assert len(self._spool.pending(0, 100)) == 12
        self._spool.close()


class Commands:
    """Commands, to the agent's desk: no wrong one is executed."""

    def __init__(self, _folder: Path) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self._key = chain.new_key()
        self._right = [self._signed(name, chain_key) for name in (GATEWAY, "other") for chain_key in (self._key, None)]

    def _signed(self, gateway: str, key: EllipticCurvePrivateKey | None) -> bytes:
        key = key or chain.new_key()
        order = wire.CommandBody(
            gateway=gateway, counter=5, command="resend", arguments={"from_seq": 3, "through_seq": 9}, not_before_s=50,
            expires_s=150,
        )  # fmt: skip
        body = json.dumps(to_builtins(order))
        signature = chain.sign(key, chain.command_text(body))
        message = wire.Command(v=1, kind="command", body=body, public_key=chain.public_text(key), sig=signature)
        return wire.encode(message)

    def feed(self, rng: Random) -> None:
        """Offer a spoilt command; what is executed is what the operator signed."""
        desk = CommandDesk(GATEWAY, chain.public_text(self._key), Book())
        try:
            order = desk.judge(_mostly_mutated(rng, rng.choice(self._right)), 100.0, "S")
        except (RefusalError, NotYetError) as error:
            self.refused[type(error).__name__] += 1
            return
        assert order is not None, "a command that never came before was taken for a repetition"
        assert (order.counter, order.command, dict(order.arguments)) == (5, "resend", {"from_seq": 3, "through_seq": 9})
        assert desk.book.counter == 5, "a command is executed whose counter can be used again"
        self.accepted += 1

    def close(self) -> None:
        """Nothing to let go."""


def _mostly_mutated(rng: Random, payload: bytes) -> bytes:
    """Leave one in ten as it is: a signature lets hardly any change through, and what is right must get in."""
    return payload if rng.random() < 0.1 else mutated_json(rng, payload)
