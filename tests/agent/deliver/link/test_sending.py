"""What a publisher sends through real brokers, and how often."""

import asyncio
import contextlib
import sys
from pathlib import Path

import pytest

from agent.deliver import chain
from agent.deliver.spool.spool import Spool
from tests.agent.deliver.centre import GATEWAY, Centre, fill, receipt
from tests.agent.deliver.courier import eventually, publisher, running
from tests.broker import Broker, amqtt, mosquitto

AGENT = """
import asyncio, sys
from pathlib import Path
from agent.deliver.spool.spool import Spool
from tests.agent.deliver.centre import fill
from tests.agent.deliver.courier import publisher

async def main():
    spool = Spool(Path(sys.argv[1]), "campus-01")
    courier = publisher(spool, sys.argv[2])
    running = asyncio.create_task(courier.run(asyncio.Event()))
    while True:
        fill(spool, 7)
        courier.notify()
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path / "spool.db", GATEWAY)


@pytest.fixture
def broker(tmp_path: Path) -> contextlib.AbstractContextManager[Broker]:
    """A mosquitto that forgets everything when it is killed."""
    return mosquitto(tmp_path)


async def test_birth_records_receipts_and_goodbye(
    spool: Spool, broker: contextlib.AbstractContextManager[Broker]
) -> None:
    """The whole of a quiet life: online, everything delivered once and forgotten, offline."""
    fill(spool, 300)
    with broker as b, Centre(b.port, every=10) as centre:
        courier = publisher(spool, b.url)
        async with running(courier):
            assert await courier.drain(10)
            assert courier.status().connected
            assert courier.status().pending == 0

        assert centre.order == list(range(1, 301))
        assert await eventually(lambda: centre.states == ["online", "offline"])
    assert spool.pending(0, 1) == []


@pytest.mark.parametrize("topic", ["flatwatt/v1/campus-01+up/event", "flatwatt/v1/campus-01/uq/event"])
async def test_a_bit_that_flips_in_a_topic_holds_up_nothing(
    spool: Spool, broker: contextlib.AbstractContextManager[Broker], topic: str
) -> None:
    """The chain covers the payload only, so it is the payload that says where a record goes."""
    fill(spool, 5)
    spool._file._db.execute("UPDATE record SET topic = ? WHERE seq = 3", (topic,))
    with broker as b, Centre(b.port) as centre:
        courier = publisher(spool, b.url)
        async with running(courier):
            assert await courier.drain(10)

        assert centre.order == [1, 2, 3, 4, 5]


async def test_a_command_goes_to_who_takes_commands(
    spool: Spool, broker: contextlib.AbstractContextManager[Broker]
) -> None:
    """The desk of receipts does not see it, although both arrive on one connection."""
    taken: list[bytes] = []
    reports: list[tuple[str, str]] = []
    with broker as b, Centre(b.port) as centre:
        centre.publish_command(b"an order")
        async with running(publisher(spool, b.url, reports=reports, on_command=taken.append)):
            assert await eventually(lambda: taken == [b"an order"])

    assert reports == []


async def test_a_broker_killed_in_the_stream_loses_nothing(
    spool: Spool, broker: contextlib.AbstractContextManager[Broker]
) -> None:
    """The broker takes its queues with it; the spool still has them."""
    with broker as b, Centre(b.port, every=7) as centre:
        courier = publisher(spool, b.url, resend_after_s=1.0)
        async with running(courier):
            for _ in range(2):
                for _ in range(20):
                    fill(spool, 10)
                    courier.notify()
                    await asyncio.sleep(0.005)
                b.kill()
                fill(spool, 10)
                courier.notify()
                b.restart()
                assert await eventually(lambda: courier.status().connected)
            centre.every = 1
            assert await courier.drain(15)

        assert sorted(centre.records) == list(range(1, 421))


async def test_a_killed_agent_goes_on_where_it_was_and_its_death_is_told(
    tmp_path: Path, broker: contextlib.AbstractContextManager[Broker]
) -> None:
    """Kill -9, three times: the will says offline, and every record that was written arrives."""
    with broker as b, Centre(b.port, every=5) as centre:
        for _ in range(3):
            agent = await asyncio.create_subprocess_exec(sys.executable, "-c", AGENT, tmp_path / "s.db", b.url)
            before = len(centre.order)
            assert await eventually(lambda before=before: len(centre.order) > before + 50)  # type: ignore[misc]
            agent.kill()
            await agent.wait()
            assert await eventually(lambda: centre.states[-1] == "offline")
        spool = Spool(tmp_path / "s.db", GATEWAY)
        centre.every = 1
        fill(spool, 1)
        courier = publisher(spool, b.url)
        async with running(courier):
            assert await courier.drain(15)

        assert sorted(centre.records) == list(range(1, spool.last_seq + 1))
        assert centre.states.count("online") == 4


async def test_what_got_lost_on_the_way_is_sent_again(
    spool: Spool, broker: contextlib.AbstractContextManager[Broker]
) -> None:
    """The collector names the gaps, and they close."""
    with broker as b, Centre(b.port, deaf_to=[3, 4, 50]) as centre:
        courier = publisher(spool, b.url)
        async with running(courier):
            for _ in range(10):
                fill(spool, 10)
                courier.notify()
                await asyncio.sleep(0.01)
            assert await courier.drain(15)

        assert sorted(centre.records) == list(range(1, 101))
        assert len(centre.order) == 100


async def test_a_collector_that_comes_late_gets_everything(
    spool: Spool, broker: contextlib.AbstractContextManager[Broker]
) -> None:
    """What the broker acknowledged for nobody is repeated until a receipt covers it."""
    fill(spool, 1000)
    with broker as b:
        courier = publisher(spool, b.url, resend_after_s=0.5)
        async with running(courier):
            assert await eventually(lambda: courier.status().connected)
            assert not await courier.drain(1.5)
            with Centre(b.port, every=8) as centre:
                assert await courier.drain(15)
                assert sorted(centre.records) == list(range(1, 1001))


async def test_without_a_collector_the_broker_confirms(
    spool: Spool, broker: contextlib.AbstractContextManager[Broker]
) -> None:
    """But only what reached a subscriber."""
    fill(spool, 50)
    with broker as b:
        courier = publisher(spool, b.url, mode="broker", resend_after_s=1.0)
        async with running(courier):
            assert not await courier.drain(0.5)
            with Centre(b.port, every=0) as centre:
                assert await courier.drain(10)
                assert sorted(centre.records) == list(range(1, 51))


async def test_a_broker_of_mqtt_3_1_1_is_spoken_to_in_its_version(spool: Spool, tmp_path: Path) -> None:
    """One that leaves MQTT 5 without an answer (amqtt): the second attempt speaks 3.1.1, and all is as ever."""
    fill(spool, 300, kinds=("event", "alarm"))
    with amqtt(tmp_path) as b, Centre(b.port, every=10) as centre:
        courier = publisher(spool, b.url, protocol="auto")
        async with running(courier):
            assert await courier.drain(20)
            assert courier.status().protocol == "3.1.1"

        assert sorted(centre.records) == list(range(1, 301))
        assert centre.order[:150] == list(range(2, 301, 2))


async def test_a_forged_receipt_is_reported_once_and_changes_nothing(
    spool: Spool, broker: contextlib.AbstractContextManager[Broker]
) -> None:
    """Also when the broker keeps it and shows it at every connection."""
    fill(spool, 10)
    reports: list[tuple[str, str]] = []
    with broker as b, Centre(b.port) as centre:
        courier = publisher(spool, b.url, reports=reports)
        async with running(courier):
            assert await courier.drain(10)
        centre.every = 0
        fill(spool, 10)
        forged = receipt(20, spool.head, stream=spool.stream, key=chain.new_key())
        centre.publish_receipt(forged)
        async with running(courier):
            assert not await courier.drain(0.5)
        async with running(courier):
            assert not await courier.drain(0.5)

    assert [event for event, _ in reports] == ["collector_pinned", "receipt_refused"]
    assert len(spool.pending(0, 100)) == 10


async def test_a_cleared_receipt_is_no_news(spool: Spool, broker: contextlib.AbstractContextManager[Broker]) -> None:
    """An empty payload is how a retained state is taken away, not a forgery."""
    fill(spool, 10)
    reports: list[tuple[str, str]] = []
    with broker as b, Centre(b.port) as centre:
        async with running(publisher(spool, b.url, reports=reports)):
            assert await eventually(lambda: spool.receipted == 10)
            centre.publish_receipt(b"")
            fill(spool, 10)
            assert await eventually(lambda: spool.receipted == 20)

    assert [event for event, _ in reports] == ["collector_pinned"]
