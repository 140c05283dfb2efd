"""The collector's connection, with brokers that say what they like."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

import pytest

from collector.broker_access import BrokerAccess
from collector.ingest.subscriber import Subscriber
from tests.agent.deliver.courier import eventually
from tests.agent.deliver.scripted import CONNECT, DISCONNECT, SUBSCRIBE, Answer, packet, polite, scripted, welcome

NONSENSE = {
    "a property that nobody knows": b"\x00\x01a\x02\x7e\x00x",
    "properties that end too soon": b"\x00\x01a\x09\x26\x00\x05ab",
    "a topic longer than the packet": b"\x00\x20a",
}


class Ear:
    """What a subscriber tells."""

    def __init__(self) -> None:
        self.connected = 0
        self.lost = 0


@contextlib.asynccontextmanager
async def listening(url: str) -> AsyncIterator[Ear]:
    """Run a subscriber."""
    ear = Ear()

    def count(name: str) -> Callable[[], None]:
        return lambda: setattr(ear, name, getattr(ear, name) + 1)

    access = BrokerAccess(
        url=url, client_id="flatwatt-c", username=None, password=None, ca_file=None, cert_file=None, key_file=None
    )
    subscriber = Subscriber(access, lambda _delivery: None, count("connected"), count("lost"))
    subscriber.start()
    try:
        yield ear
    finally:
        await asyncio.to_thread(subscriber.stop)


def once(kind: int, answer: bytes) -> Answer:
    """Answer packets of one kind so, and all others politely."""
    return lambda came, body: answer if came == kind else polite(came, body)


async def test_two_collectors_with_one_key_do_not_throw_each_other_out_all_day(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The one that was replaced says what it is, and stays away for a while."""
    with caplog.at_level(logging.WARNING):
        async with scripted(once(SUBSCRIBE, packet(DISCONNECT, b"\x8e"))) as broker, listening(broker.url):
            assert await eventually(lambda: "another collector runs with the key of this one" in caplog.text)
            await asyncio.sleep(0.5)

    assert len(broker.packets) == 1
    assert len(caplog.records) == 1


@pytest.mark.parametrize("body", NONSENSE.values(), ids=NONSENSE)
async def test_what_cannot_be_read_does_not_make_it_deaf(body: bytes) -> None:
    """It comes back with MQTT 3.1.1, in which there is less to stumble over, and hears again."""
    versions: list[int] = []

    def answer(kind: int, packet_body: bytes) -> bytes | None:
        if kind == CONNECT:
            versions.append(packet_body[6])
            return welcome() if versions[-1] == 5 else packet(2, b"\x00\x00")
        if kind == SUBSCRIBE and versions[-1] == 5:
            return packet(3, body)
        return packet(9, packet_body[:2] + b"\x01") if kind == SUBSCRIBE else polite(kind, packet_body)

    async with scripted(answer) as broker, listening(broker.url) as ear:
        assert await eventually(lambda: ear.connected == 1)

    assert versions == [5, 4]


async def test_a_broker_that_takes_it_in_and_throws_it_out_is_not_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses grow although each connection is accepted."""
    pauses: list[float] = []
    monkeypatch.setattr("random.uniform", lambda _low, high: pauses.append(high) or 0.0)  # type: ignore[func-returns-value]
    async with scripted(once(SUBSCRIBE, b"")) as broker, listening(broker.url):
        assert await eventually(lambda: len(pauses) >= 6)

    assert pauses[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
