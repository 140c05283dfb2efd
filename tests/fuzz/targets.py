"""What is fed with wrong inputs, and what must hold after each: nothing escapes, nothing is invented.

A target has ``feed(rng)``: it makes one input, feeds it and checks. An expected refusal is counted; any
other exception, or an invention, is a failure. ``accepted`` counts inputs that were right after all:
a target that accepts none has fuzzed nothing but its own door.
"""

import contextlib
import json
import logging
import math
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from msgspec import to_builtins

from agent.acquire.bus.listener import RtuListener, TcpListener
from agent.acquire.bus.patience import Patience
from agent.acquire.codec import decode
from agent.acquire.profiles.profile import find_profile
from agent.config import load_gateway
from agent.deliver import chain, wire
from agent.deliver.commands import Book, CommandDesk, NotYetError, RefusalError
from agent.deliver.receipts import ReceiptDesk
from agent.deliver.spool import Spool
from agent.errors import BusError, EvidenceError, FlatwattError, InputError
from agent.records import ReadRequest
from tests.agent.acquire.bus.hostile import crc
from tests.agent.deliver.centre import GATEWAY, fill, receipt
from tests.collector.desk import Desk
from tests.collector.gateway import FakeGateway, Sent
from tests.fuzz.mutate import mutated, mutated_json

EXAMPLE = Path(__file__).parents[2] / "configs" / "gateway.example.toml"


class Target(Protocol):
    """Something that reads what others wrote."""

    accepted: int
    refused: Counter[str]

    def feed(self, rng: Random) -> None:
        """Feed one input and check what must hold; AssertionError says what did not."""

    def close(self) -> None:
        """Check what must hold at the end, and let go."""


class Modbus:
    """Bytes on a line, to both listeners and the codec."""

    def __init__(self, _folder: Path) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        profile = find_profile("eastron_sdm630")
        self._registers = [register for register in profile.registers if register.function == 4][:6]
        self._now_s = 0.0

    def feed(self, rng: Random) -> None:
        """Send a spoilt answer in one to three pieces."""
        register = rng.choice(self._registers)
        request = ReadRequest(
            unit=rng.randrange(1, 248), function=register.function, address=register.address, count=register.count,
            registers=(register,), wire_s=0.01, min_gap_s=0.0, min_timeout_s=0.0,
        )  # fmt: skip
        body = rng.choice((b"\x7f\xc0\0\0", b"\xff" * 4, struct.pack(">f", rng.uniform(-1e9, 1e9)), rng.randbytes(4)))
        pdu = bytes((request.function, len(body))) + body
        (self._over_tcp if rng.random() < 0.5 else self._over_rtu)(rng, request, bytes((request.unit,)) + pdu)

    def _over_tcp(self, rng: Random, request: ReadRequest, adu: bytes) -> None:
        transaction = rng.randrange(1, 65_536)
        packet = struct.pack(">HHH", transaction, 0, 6) + bytes(6)
        listener = TcpListener(Patience(0.1, 1.0), 1.0)
        heard = mutated(rng, struct.pack(">HHH", transaction, 0, len(adu)) + adu)
        frame = self._hear(rng, listener, request, packet, heard)
        if frame is not None:
            length = int.from_bytes(frame[4:6], "big")
            assert frame[:4] == struct.pack(">HH", transaction, 0), "an answer to another transaction was believed"
            assert length == len(frame) - 6, "a frame of another length than it says was believed"
            self._believe(request, frame[6:], heard)

    def _over_rtu(self, rng: Random, request: ReadRequest, adu: bytes) -> None:
        packet = bytes((request.unit, request.function)) + bytes(6)
        heard = mutated(rng, adu + crc(adu))
        frame = self._hear(rng, RtuListener(Patience(0.1, 1.0), 1.0), request, packet, heard)
        if frame is not None:
            assert crc(frame[:-2]) == frame[-2:], "a frame with a wrong checksum was believed"
            self._believe(request, frame[:-2], heard)

    def _hear(
        self, rng: Random, listener: TcpListener | RtuListener, request: ReadRequest, packet: bytes, heard: bytes
    ) -> bytes | None:
        self._now_s += 1.0
        listener.connected()
        listener.ask(request, packet, self._now_s)
        cuts = sorted(rng.randrange(len(heard) + 1) for _ in range(rng.randrange(3)))
        try:
            for start, end in zip([0, *cuts], [*cuts, len(heard)], strict=True):
                if frame := listener.hear(heard[start:end], self._now_s):
                    return frame
        except BusError as error:
            self.refused[error.reason.value] += 1
            return None
        self.refused[listener.silence(1.0).reason.value] += 1
        listener.give_up(self._now_s)
        return None

    def _believe(self, request: ReadRequest, adu: bytes, heard: bytes) -> None:
        """What is believed was heard, whole, and is for what was asked."""
        assert adu in heard, "bytes were believed that nobody sent"
        assert adu[:3] == bytes((request.unit, request.function, 2 * request.count)), "an answer to something else"
        assert len(adu) == 3 + 2 * request.count, "an answer of another length"
        words = struct.unpack(f">{request.count}H", adu[3:])
        (value,) = decode(request, words, {}).values.values()
        assert math.isnan(value) or math.isfinite(value), "an infinite value got through"
        self.accepted += 1

    def close(self) -> None:
        """Nothing to let go."""


class Collector:
    """MQTT topics and payloads, to the collector's intake with its database."""

    def __init__(self, folder: Path) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self._desk = Desk(folder / "collector.db")
        self._gateway = FakeGateway()
        self._desk.commit(self._gateway.status())

    def feed(self, rng: Random) -> None:
        """Commit one spoilt message among right ones."""
        topic, payload = self._message(rng)
        if rng.random() < 0.2:
            topic = mutated(rng, topic.encode()).decode("utf-8", "replace")
        if rng.random() < 0.9:
            payload = mutated_json(rng, payload)
        self._desk.commit((topic, payload))

    def _message(self, rng: Random) -> Sent:
        if rng.random() < 0.02:
            self._gateway = FakeGateway(f"campus-{rng.randrange(8)}", f"{rng.randrange(16**4):04x}")
        make: Callable[[], Sent] = rng.choice(
            (
                self._gateway.summary,
                self._gateway.alarm,
                self._gateway.event,
                self._gateway.checkpoint,
                self._gateway.status,
            )
        )
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


class Config:
    """``gateway.toml``: a configuration, or every mistake with its line; never anything else."""

    def __init__(self, folder: Path) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self._path = folder / "gateway.toml"
        self._right = EXAMPLE.read_bytes()

    def feed(self, rng: Random) -> None:
        """Read a spoilt file."""
        self._path.write_bytes(mutated(rng, self._right))
        try:
            config = load_gateway(self._path)
        except InputError as error:
            self.refused["located" if error.complaints else "unreadable"] += 1
            return
        assert config.meters, "a gateway without a meter was accepted"
        self.accepted += 1

    def close(self) -> None:
        """Nothing to let go."""


class SpoolFile:
    """A spool's file and its log: what is read from it was written to it, or is reported as lost."""

    def __init__(self, folder: Path) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self._folder = folder / "spools"
        self._folder.mkdir()
        spool = Spool(self._folder / "right.db", GATEWAY)
        fill(spool, 30)
        self._said = {(spool.stream, envelope.seq): envelope.payload for envelope in spool.pending(0, 100)}
        self._files = {path.name.removeprefix("right.db"): path.read_bytes() for path in self._folder.glob("right.db*")}
        spool.close()

    def feed(self, rng: Random) -> None:
        """Open a spoilt copy: a record keeps its bytes under its name, and one that vanished is declared."""
        path = self._folder / "spool.db"
        for old in self._folder.glob("spool.db*"):
            old.unlink()
        suffix = rng.choice(list(self._files))
        for name, data in self._files.items():
            path.with_name(path.name + name).write_bytes(mutated(rng, data) if name == suffix else data)
        try:
            spool = Spool(path, GATEWAY)
        except FlatwattError as error:
            self.refused[type(error).__name__] += 1
            return
        try:
            self._check(spool)
        finally:
            spool.close()

    def _check(self, spool: Spool) -> None:
        kept = spool.pending(0, 1000)
        for envelope in kept:
            said = self._said.get((spool.stream, envelope.seq))
            assert said is None or said == envelope.payload, f"record {envelope.seq} has other bytes than were written"
        if spool.loss is None:
            assert len(kept) == len(self._said), f"{len(self._said) - len(kept)} records vanished and nobody was told"
            self.accepted += 1
        else:
            self.refused["put aside"] += 1

    def close(self) -> None:
        """Nothing to let go."""


def _mostly_mutated(rng: Random, payload: bytes) -> bytes:
    """Leave one in ten as it is: a signature lets hardly any change through, and what is right must get in."""
    return payload if rng.random() < 0.1 else mutated_json(rng, payload)


TARGETS: dict[str, tuple[type[Modbus | Collector | Receipts | Commands | Config | SpoolFile], float]] = {
    "modbus": (Modbus, 0.65),  # with its share of the inputs: the cheap ones are fed more
    "collector": (Collector, 0.14),
    "receipts": (Receipts, 0.10),
    "commands": (Commands, 0.095),
    "config": (Config, 0.01),
    "spool": (SpoolFile, 0.005),
}

logging.getLogger("collector").setLevel(logging.CRITICAL)
logging.getLogger("agent").setLevel(logging.CRITICAL)
