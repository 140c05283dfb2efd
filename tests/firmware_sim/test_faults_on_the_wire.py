"""Each fault of a reply or of a line, byte by byte, as a client without any library sees it."""

import contextlib
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.faults import KINDS
from firmware_sim.faults.base import LineFault, ReplyFault
from firmware_sim.testing import Meters, StillClock, one_bus, simulated_meters

CLOCK = StillClock(1_767_571_200.0)
PDU = bytes.fromhex("04 0034 0002")  # active power of an SDM630
GOOD = bytes.fromhex("04 04") + struct.pack(">f", 1234)
QUIET_S = 0.05  # far above what an answer on the loopback takes, and below anybody's patience


def checksum(data: bytes) -> bytes:
    """Give the Modbus CRC, bit by bit as the specification has it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


def tcp(pdu: bytes, transaction: int = 1, unit: int = 1) -> bytes:
    """Frame for Modbus TCP."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def rtu(pdu: bytes, unit: int = 1) -> bytes:
    """Frame for a serial line."""
    body = bytes((unit,)) + pdu
    return body + checksum(body)


@pytest.fixture(scope="module")
def meters() -> Iterator[dict[str, Meters]]:
    """Serve two SDM630 on TCP, and two on RTU over TCP."""
    two = ("eastron_sdm630", "eastron_sdm630")
    with (
        simulated_meters(one_bus(*two, power_w=1234), CLOCK) as by_tcp,
        simulated_meters(one_bus(*two, url="rtu+tcp://127.0.0.1:0", power_w=1234), CLOCK) as by_rtu,
    ):
        yield {"tcp": by_tcp, "rtu": by_rtu}


@contextlib.contextmanager
def line(meters: Meters) -> Iterator[socket.socket]:
    """Connect."""
    host, _, port = meters.url().partition("://")[2].partition(":")
    with contextlib.closing(socket.create_connection((host, int(port)), 2)) as client:
        yield client


def heard(client: socket.socket, quiet_s: float = QUIET_S) -> bytes:
    """Give all bytes until the line is quiet, or closed."""
    client.settimeout(quiet_s)
    data = b""
    with contextlib.suppress(TimeoutError):
        while piece := client.recv(4096):
            data += piece
    return data


def exchange(meters: Meters, request: bytes, size: int = 0) -> bytes:
    """Ask once on a new connection: for ``size`` bytes, or for all until the line is quiet."""
    with line(meters) as client:
        client.sendall(request)
        return client.recv(size) if size else heard(client)


LONG = bytes.fromhex("04 06") + GOOD[2:] + b"\0\0"
FRAMES: list[tuple[str, dict[str, object], Callable[[bytes], bytes], Callable[[bytes], bytes]]] = [
    ("wrong_unit", {"unit": 9}, lambda _: tcp(GOOD, unit=9), lambda _: rtu(GOOD, unit=9)),
    ("wrong_transaction", {}, lambda _: tcp(GOOD, transaction=0), lambda good: good),
    ("wrong_transaction", {"id": 77}, lambda _: tcp(GOOD, transaction=77), lambda good: good),
    ("wrong_function", {"function": 3}, lambda _: tcp(b"\3" + GOOD[1:]), lambda _: rtu(b"\3" + GOOD[1:])),
    ("wrong_count", {}, lambda _: tcp(b"\4\2" + GOOD[2:4]), lambda _: rtu(b"\4\2" + GOOD[2:4])),
    ("wrong_count", {"registers": 1}, lambda _: tcp(LONG), lambda _: rtu(LONG)),
    ("lying_count", {}, lambda _: tcp(b"\4\6" + GOOD[2:]), lambda _: rtu(b"\4\6" + GOOD[2:])),
    ("partial", {"bytes": 7}, lambda good: good[:7], lambda good: good[:7]),
    ("glued", {}, lambda good: good * 2, lambda good: good * 2),
    ("silence", {}, lambda _: b"", lambda _: b""),
    ("closed", {}, lambda _: b"", lambda _: b""),
    ("half_open", {}, lambda _: b"", lambda _: b""),
]


@pytest.mark.parametrize(
    ("kind", "keys", "on_tcp", "on_rtu"), FRAMES, ids=[f"{row[0]}{row[1] or ''}" for row in FRAMES]
)
def test_a_fault_changes_the_frame(
    meters: dict[str, Meters],
    kind: str,
    keys: dict[str, object],
    on_tcp: Callable[[bytes], bytes],
    on_rtu: Callable[[bytes], bytes],
) -> None:
    """With the fault the frame is wrong in just this way, and without it right again."""
    with meters["tcp"].fault("m1", kind, **keys), meters["rtu"].fault("m1", kind, **keys):
        wrong = exchange(meters["tcp"], tcp(PDU)), exchange(meters["rtu"], rtu(PDU))

    assert wrong == (on_tcp(tcp(GOOD)), on_rtu(rtu(GOOD)))
    assert (exchange(meters["tcp"], tcp(PDU)), exchange(meters["rtu"], rtu(PDU))) == (tcp(GOOD), rtu(GOOD))


def test_a_bad_checksum_is_one_bit_off(meters: dict[str, Meters]) -> None:
    """The frame has its length, and a bit of the last byte has fallen over."""
    with meters["rtu"].fault("m1", "bad_crc"):
        wrong = exchange(meters["rtu"], rtu(PDU))

    assert wrong[:-1] == rtu(GOOD)[:-1]
    assert (wrong[-1] ^ rtu(GOOD)[-1]).bit_count() == 1


@pytest.mark.parametrize(("kind", "part"), [("over_long", slice(0, -20)), ("noise", slice(20, None))])
def test_noise_stands_before_or_behind_the_frame(meters: dict[str, Meters], kind: str, part: slice) -> None:
    """The frame is whole, and something is beside it that differs from time to time."""
    with meters["rtu"].fault("m1", kind, bytes=20):
        frames = [exchange(meters["rtu"], rtu(PDU)) for _ in range(2)]

    assert [frame[part] for frame in frames] == [rtu(GOOD)] * 2
    assert frames[0] != frames[1]


@pytest.mark.parametrize("code", range(1, 12))
def test_each_exception_can_be_had(meters: dict[str, Meters], code: int) -> None:
    """The function with its high bit set, and the code."""
    with meters["tcp"].fault("m1", "exception", code=code):
        assert exchange(meters["tcp"], tcp(PDU)) == tcp(bytes((0x84, code)))


@pytest.mark.parametrize(
    ("keys", "refused"),
    [
        ({"above": 2}, [False, True]),
        ({"addresses": [0x36, 0x40]}, [False, True]),
        ({"addresses": [0x00, 0x34]}, [True, True]),
        ({"addresses": [0x30, 0x33]}, [False, False]),
    ],
)
def test_a_refusal_may_concern_some_requests_only(
    meters: dict[str, Meters], keys: dict[str, object], refused: list[bool]
) -> None:
    """A firmware with a shorter limit, or with a hole in its map, for plans that learn."""
    requests = [bytes.fromhex("04 0034 0002"), bytes.fromhex("04 0034 0004")]

    with meters["tcp"].fault("m1", "exception", code=2, **keys):
        replies = [exchange(meters["tcp"], tcp(request)) for request in requests]

    assert [reply[7:] == b"\x84\2" for reply in replies] == refused


def test_a_delay_is_waited_for(meters: dict[str, Meters]) -> None:
    """Nothing comes before its time, and then the whole answer."""
    with meters["tcp"].fault("m1", "delay", delay_s=0.1, random_s=0.05), line(meters["tcp"]) as client:
        begun_s = time.monotonic()
        client.sendall(tcp(PDU))
        reply = client.recv(100)
        took_s = time.monotonic() - begun_s

    assert reply == tcp(GOOD)
    assert 0.1 <= took_s < 0.5


def test_a_late_answer_looks_like_the_answer_to_the_next_request(meters: dict[str, Meters]) -> None:
    """On RTU only what was asked for tells them apart: this is what a client must survive."""
    frequency = bytes.fromhex("04 0046 0002")
    with line(meters["rtu"]) as client:
        with meters["rtu"].fault("m1", "delay", delay_s=0.1):
            client.sendall(rtu(PDU))
            assert heard(client, 0.03) == b""
        client.settimeout(2)
        client.sendall(rtu(frequency))
        prompt, late = client.recv(9), client.recv(9)

    assert struct.unpack(">f", prompt[3:7])[0] == pytest.approx(50, abs=0.5)
    assert late == rtu(GOOD)


def test_a_closed_connection_is_at_its_end_and_a_half_open_one_says_nothing(meters: dict[str, Meters]) -> None:
    """The one is told apart at once; the other only by a new connection, which is answered."""
    with line(meters["tcp"]) as client, meters["tcp"].fault("m1", "closed"):
        client.sendall(tcp(PDU))
        assert client.recv(1) == b""
    with line(meters["tcp"]) as client:
        with meters["tcp"].fault("m1", "half_open"):
            client.sendall(tcp(PDU))
            assert heard(client) == b""
        client.sendall(tcp(PDU))
        still = heard(client)

    assert still == b""
    assert exchange(meters["tcp"], tcp(PDU)) == tcp(GOOD)


def test_a_share_hits_some(meters: dict[str, Meters]) -> None:
    """A quarter of the answers, not in a row."""
    with meters["tcp"].fault("m1", "wrong_unit", unit=9, share=0.25), line(meters["tcp"]) as client:
        units = []
        for _ in range(400):
            client.sendall(tcp(PDU))
            units.append(client.recv(100)[6])

    assert set(units) == {1, 9}
    assert 60 <= units.count(9) <= 140
    assert units != sorted(units)


def test_a_fault_of_a_bus_concerns_all_there(meters: dict[str, Meters]) -> None:
    """Its meters, and what the gateway itself says of units that are not there."""
    requests = [tcp(PDU, unit=unit) for unit in (1, 2, 3)]

    with meters["tcp"].fault("bus", "silence"):
        silent = [exchange(meters["tcp"], request) for request in requests]
    answered = [exchange(meters["tcp"], request) for request in requests]

    assert silent == [b"", b"", b""]
    assert answered == [tcp(GOOD), tcp(GOOD, unit=2), tcp(b"\x84\x0b", unit=3)]


def test_two_meters_with_one_address_answer_at_once(meters: dict[str, Meters]) -> None:
    """What both say alike comes through; the rest is a mixture of bits, which no checksum fits."""
    same, differing = bytes.fromhex("04 0034 0002"), bytes.fromhex("04 0006 0006")  # power, currents

    with meters["rtu"].fault("m2", "readdressed", unit=1):
        replies = [exchange(meters["rtu"], rtu(request)) for request in (same, differing)]
        gone = exchange(meters["rtu"], rtu(same, unit=2))

    assert replies[0] == rtu(GOOD)
    assert len(replies[1]) == 17
    assert checksum(replies[1][:-2]) != replies[1][-2:]
    assert gone == b""


def test_behind_a_gateway_two_meters_with_one_address_are_none(meters: dict[str, Meters]) -> None:
    """The gateway cannot make sense of the mixture."""
    with meters["tcp"].fault("m2", "readdressed", unit=1):
        assert exchange(meters["tcp"], tcp(bytes.fromhex("04 0006 0006"))) == tcp(b"\x84\x0b")


def test_every_fault_of_replies_and_lines_is_tried_here() -> None:
    """A new kind without a test fails."""
    tried = {row[0] for row in FRAMES} | {"bad_crc", "over_long", "noise", "exception", "delay"}

    assert tried == {kind for kind, fault in KINDS.items() if issubclass(fault, ReplyFault | LineFault)}


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.binary(min_size=1, max_size=40), max_size=5), framed=st.booleans())
def test_whatever_a_client_sends_the_others_are_served(
    meters: dict[str, Meters], pieces: list[bytes], framed: bool
) -> None:
    """Garbage, and garbage in right frames, on both kinds of bus."""
    for kind, frame in (("tcp", tcp), ("rtu", rtu)):
        with line(meters[kind]) as hostile, contextlib.suppress(ConnectionError):
            for piece in pieces:
                hostile.sendall(frame(piece) if framed else piece)

    assert exchange(meters["tcp"], tcp(PDU), 13) == tcp(GOOD)
    assert exchange(meters["rtu"], rtu(PDU), 9) == rtu(GOOD)
