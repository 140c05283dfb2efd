"""Bytes on a Modbus line."""

import math
import struct
from collections import Counter
from pathlib import Path
from random import Random

from agent.acquire.bus.listener import RtuListener, TcpListener
from agent.acquire.bus.patience import Patience
from agent.acquire.codec import decode
from agent.acquire.profiles.profile import find_profile
from agent.errors import BusError
from agent.records import ReadRequest
from tests.agent.acquire.bus.hostile import crc
from tests.fuzz.mutate import mutated


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
