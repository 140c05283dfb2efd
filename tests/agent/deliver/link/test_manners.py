"""How a publisher takes what brokers say: it acts on the reason, says it once, and never comes back in a tight loop."""

import asyncio
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt import publish

from agent.deliver import wire
from agent.deliver.link import herald as publisher_herald
from agent.deliver.link import link as publisher_link
from agent.deliver.link.trouble import Backoff, Trouble
from agent.deliver.spool.entry import enter
from agent.deliver.spool.spool import Spool
from tests.agent.deliver.centre import GATEWAY, Centre, fill
from tests.agent.deliver.courier import eventually, publisher, running
from tests.agent.deliver.scripted import (
    CONNECT,
    DISCONNECT,
    PUBLISH,
    SUBSCRIBE,
    Answer,
    number_of,
    packet,
    polite,
    puback,
    scripted,
    welcome,
)
from tests.agent.deliver.spool.windows import alarm
from tests.broker import mosquitto

COMMAND = wire.topic(GATEWAY, "command")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path / "spool.db", GATEWAY)


def instead(kind: int, answer: bytes) -> Answer:
    """Answer packets of one kind so, and all others politely."""
    return lambda came, body: answer if came == kind else polite(came, body)


def records_of(packets: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Leave out what is no record."""
    return [(kind, body) for kind, body in packets if kind == PUBLISH and b"/up/event" in body]


@pytest.mark.parametrize(
    ("answer", "event", "said"),
    [
        (instead(SUBSCRIBE, packet(DISCONNECT, b"\x8e")), "duplicate_client", "runs with the id campus-01"),
        (instead(SUBSCRIBE, packet(DISCONNECT, b"\x87")), "broker_refuses", "not authorized"),
        (instead(CONNECT, welcome(0x87)), "broker_refuses", "not authorized"),
        (instead(CONNECT, welcome(0x8A)), "broker_refuses", "banned"),
        (lambda came, body: packet(9, body[:2] + b"\x00\x87") if came == SUBSCRIBE else polite(came, body),
         "broker_refuses", "does not let us read what is meant for us: not authorized"),
    ],
    ids=["taken over", "kicked", "not let in", "banned", "not subscribed"],
)  # fmt: skip
async def test_who_is_sent_away_stays_away_and_says_so(spool: Spool, answer: Answer, event: str, said: str) -> None:
    """Coming back at once would be of no use, and two gateways of one id would throw each other out all day."""
    reports: list[tuple[str, str]] = []
    async with scripted(answer) as broker:
        courier = publisher(spool, broker.url, reports=reports)
        async with running(courier):
            assert await eventually(lambda: bool(reports))
            await asyncio.sleep(0.5)

    assert [name for name, _ in reports] == [event]
    assert said in reports[0][1]
    assert said in courier.status().error
    assert len(broker.packets) == 1


async def test_a_broker_of_3_1_1_that_does_not_let_us_in_is_left_alone_too(spool: Spool) -> None:
    """Its CONNACK has codes of its own: 4 and 5."""
    reports: list[tuple[str, str]] = []
    async with (
        scripted(instead(CONNECT, packet(2, b"\x00\x05"))) as broker,
        running(publisher(spool, broker.url, protocol="3.1.1", reports=reports)),
    ):
        assert await eventually(lambda: bool(reports))
        await asyncio.sleep(0.5)

    assert reports == [("broker_refuses", "the broker refuses us: not authorized")]
    assert len(broker.packets) == 1


def test_a_connection_that_is_ended_soon_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let in and thrown out, again and again: the pauses grow; only a steady connection begins anew."""
    monkeypatch.setattr("random.uniform", lambda _low, high: high)
    backoff = Backoff()

    kicked = [backoff.pause_s(Trouble.LOST, 1.0, now_s) for now_s in range(8)]
    steady = backoff.pause_s(Trouble.LOST, 100.0, 200.0)

    assert kicked == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 45.0, 45.0]
    assert steady == 0.5


def test_a_line_that_comes_and_goes_is_tried_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """For five minutes after it carried something, unless the broker asked for less."""
    monkeypatch.setattr("random.uniform", lambda _low, high: high)
    backoff = Backoff()
    for _ in range(20):
        backoff.pause_s(Trouble.LOST, 0.0, 0.0)

    assert backoff.pause_s(Trouble.LOST, 5.0, 10.0) == 10.0
    assert backoff.pause_s(Trouble.LOST, 0.0, 309.0) == 10.0
    assert backoff.pause_s(Trouble.BUSY, 0.0, 309.0) == 45.0
    assert backoff.pause_s(Trouble.LOST, 0.0, 311.0) == 45.0


async def test_records_that_a_broker_does_not_take_hold_up_no_others(spool: Spool, tmp_path: Path) -> None:
    """Its access rules leave out alarms: each is tried, put aside and told; events are delivered all the same."""
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite flatwatt/v1/+/up/event\ntopic readwrite flatwatt/v1/+/down/#\n")
    fill(spool, 2)
    with spool.batch() as batch:
        for name in ("a", "b"):
            enter(batch, GATEWAY, alarm(name, "raised", 0))
    reports: list[tuple[str, str]] = []
    with mosquitto(tmp_path, f"acl_file {rules}") as b, Centre(b.port) as centre:
        courier = publisher(spool, b.url, reports=reports)
        async with running(courier):
            assert await eventually(lambda: len(centre.records) == 2)
            assert await eventually(lambda: courier.status().set_aside == 2)

    said = "the broker does not take messages on flatwatt/v1/campus-01/up/alarm/m: not authorized: see its access rules"
    assert ("broker_refuses", said) in reports


async def test_a_record_too_large_for_the_broker_is_not_even_sent(spool: Spool, tmp_path: Path) -> None:
    """It would end the connection; it is told, and everything else goes on."""
    with spool.batch() as batch:
        batch.add("event", wire.topic(GATEWAY, "event"), b"x" * 5000)
    fill(spool, 5)
    reports: list[tuple[str, str]] = []
    with mosquitto(tmp_path, "max_packet_size 2000") as b, Centre(b.port) as centre:
        courier = publisher(spool, b.url, reports=reports)
        async with running(courier):
            assert await eventually(lambda: len(centre.records) == 5)
            assert await eventually(lambda: courier.status().set_aside == 1)

    said = "event 1 has 5000 bytes; the broker takes 2000 at most: raise its max_packet_size"
    assert ("broker_refuses", said) in reports


async def test_no_more_are_under_way_than_the_broker_wants(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Receive Maximum 4, the status included."""
    monkeypatch.setattr(publisher_herald, "_GOODBYE_S", 0.0)
    fill(spool, 40)
    modest = instead(CONNECT, welcome(properties=b"\x21\x00\x04"))
    silent = lambda kind, body: None if kind == PUBLISH else modest(kind, body)  # noqa: E731 - a broker in a line
    async with scripted(silent) as broker, running(publisher(spool, broker.url)):
        assert await eventually(lambda: bool(broker.packets) and len(records_of(broker.packets[0])) >= 3)
        await asyncio.sleep(0.2)

    assert len(records_of(broker.packets[0])) == 3


async def test_a_quota_is_waited_for_with_one_record(spool: Spool) -> None:
    """All of them are returned: none is sent again at once."""
    fill(spool, 40)

    def full(kind: int, body: bytes) -> bytes | None:
        return puback(number_of(body), 0x97) if kind == PUBLISH and b"/up/event" in body else polite(kind, body)

    began_s = time.monotonic()
    async with scripted(full) as broker, running(publisher(spool, broker.url)):
        assert await eventually(lambda: bool(broker.packets) and len(records_of(broker.packets[0])) > 12)
        assert time.monotonic() - began_s >= 1.0  # all but the last were under way at once
        await asyncio.sleep(1.0)  # and the next one waits for twice as long

    assert len(records_of(broker.packets[0])) <= 15
    assert spool.receipted == 0


async def test_what_cannot_be_read_is_spoken_over_in_3_1_1(spool: Spool) -> None:
    """A property that paho does not know breaks the connection, not the publisher; 3.1.1 has none."""
    fill(spool, 3)
    versions: list[int] = []

    def answer(kind: int, body: bytes) -> bytes | None:
        if kind == CONNECT:
            versions.append(body[6])
            return welcome() if body[6] == 5 else packet(2, b"\x00\x00")
        if kind == SUBSCRIBE and versions[-1] == 5:
            return packet(3, b"\x00\x01a\x02\x7e\x00x")
        if kind == SUBSCRIBE:
            return packet(9, body[:2] + b"\x01")
        return packet(4, number_of(body)) if kind == PUBLISH and versions[-1] == 4 else polite(kind, body)

    async with scripted(answer) as broker:
        courier = publisher(spool, broker.url, protocol="auto")
        async with running(courier):
            assert await eventually(lambda: courier.status().protocol == "3.1.1" and courier.status().connected)

    assert versions == [5, 4]


async def test_a_line_that_swallows_everything_is_noticed(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing ends the connection: one and a half keep-alives without a sign of life do."""
    monkeypatch.setattr(publisher_link, "KEEPALIVE_S", 1)
    async with scripted(lambda kind, _body: welcome() if kind == CONNECT else None) as broker:
        courier = publisher(spool, broker.url)
        began_s = time.monotonic()
        async with running(courier):
            assert await eventually(lambda: courier.status().error == "the broker gave no sign of life for 2 s")

    assert 1.5 <= time.monotonic() - began_s <= 4.0


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_what_is_said_while_we_are_away_waits(spool: Spool, tmp_path: Path, protocol: str) -> None:
    """The session at the broker outlives the connection; a command that nobody retains is not lost."""
    commands: list[bytes] = []

    async def visit(url: str) -> None:
        courier = publisher(spool, url, protocol=protocol, on_command=commands.append)
        async with running(courier):
            assert await eventually(lambda: courier.status().connected)
            await asyncio.sleep(0.2)

    with mosquitto(tmp_path) as b:
        await visit(b.url)
        await asyncio.to_thread(publish.single, COMMAND, b"order", qos=1, hostname="127.0.0.1", port=b.port)
        await visit(b.url)

    assert commands == [b"order"]


async def test_a_name_that_is_being_looked_up_does_not_hold_up_the_end(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver may take half a minute."""
    answered = threading.Event()

    def look_up(*_args: object, **_more: object) -> None:
        answered.wait(10)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "create_connection", look_up)
    courier = publisher(spool, "mqtt://broker.test")
    stop = asyncio.Event()
    task = asyncio.create_task(courier.run(stop))
    await asyncio.sleep(0.1)

    stop.set()

    await asyncio.wait_for(task, 1.0)
    answered.set()


async def test_a_name_that_comes_back_elsewhere_is_found(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First it cannot be resolved, then it leads nowhere, then to another address: it is asked each time."""
    answers = [None, "127.0.0.3", "127.0.0.1"]
    lookup = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        address = (answers.pop(0) if len(answers) > 1 else answers[0]) if host == "broker.test" else host
        if address is None:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return lookup(address, *rest, **more)

    fill(spool, 3)
    with mosquitto(tmp_path) as b, Centre(b.port) as centre:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        courier = publisher(spool, f"mqtt://broker.test:{b.port}")
        async with running(courier):
            assert await eventually(lambda: "its name cannot be resolved" in courier.status().error)
            assert await courier.drain(10)

    assert sorted(centre.records) == [1, 2, 3]
