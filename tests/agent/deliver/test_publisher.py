import asyncio
import contextlib
import datetime
import ipaddress
import logging
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from agent.config import DeliveryConfig, MqttConfig
from agent.deliver import chain, wire
from agent.deliver.publisher import Publisher, State
from agent.deliver.spool import Spool
from agent.errors import InputError
from tests.agent.deliver.centre import GATEWAY, Centre, fill, receipt
from tests.broker import Broker, amqtt, free_port, mosquitto

AGENT = """
import asyncio, sys
from pathlib import Path
from agent.deliver.spool import Spool
from tests.agent.deliver.centre import fill
from tests.agent.deliver.test_publisher import publisher

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


def publisher(
    spool: Spool,
    url: str,
    *,
    protocol: str = "5",
    mode: str = "collector",
    resend_after_s: float = 60.0,
    drain_per_s: float = 10_000.0,
    username: str | None = None,
    ca_file: Path | None = None,
    reports: list[tuple[str, str]] | None = None,
    on_command: Callable[[bytes], None] | None = None,
) -> Publisher:
    """Make a publisher whose status is minimal."""

    def status_payload(state: State) -> bytes:
        return wire.encode(
            wire.Status(
                v=1,
                kind="status",
                state=state,
                gateway=GATEWAY,
                name="",
                site="",
                site_kind="office",
                software="",
                boot_id="",
                stream=spool.stream,
                delivery=mode,
                clock="",
                time_s=0,
                window_s=900,
                public_key="",
                meters=[],
            )
        )

    def report(event: str, text: str) -> None:
        if reports is not None:
            reports.append((event, text))

    mqtt = MqttConfig(
        url=url,
        protocol=protocol,
        username=username,
        password_file=None,
        ca_file=ca_file,
        cert_file=None,
        key_file=None,
        plaintext=False,
    )
    delivery = DeliveryConfig(
        mode=mode, collector_key_file=None, resend_after_s=resend_after_s, drain_per_s=drain_per_s,
        spool_bytes=2**28, spool_days=400, disk_free_bytes=0,
    )
    return Publisher(spool, mqtt, delivery, status_payload=status_payload, report=report, on_command=on_command)


@contextlib.asynccontextmanager
async def running(courier: Publisher) -> AsyncIterator[None]:
    """Run a publisher and let it say goodbye."""
    stop = asyncio.Event()
    task = asyncio.create_task(courier.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def eventually(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    """Wait until it is so."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - the condition lives in another process or thread
                await asyncio.sleep(0.02)
    return condition()


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


async def test_a_broker_that_is_away_at_the_start_is_awaited(
    spool: Spool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One clear line, however many attempts; then everything is delivered."""
    port = free_port()
    fill(spool, 20)
    courier = publisher(spool, f"mqtt://127.0.0.1:{port}")
    with caplog.at_level(logging.WARNING):
        async with running(courier):
            await asyncio.sleep(1.0)
            assert courier.status().error == f"no connection to the broker at 127.0.0.1:{port}: Connection refused"
            with mosquitto(tmp_path, port=port) as b, Centre(b.port) as centre:
                assert await courier.drain(15)
                assert len(centre.records) == 20
                assert courier.status().error == ""

    assert [r.message for r in caplog.records if "no connection" in r.message] == [
        f"no connection to the broker at 127.0.0.1:{port}: Connection refused; records wait in the spool"
    ]


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


async def test_a_wrong_password_is_said_in_one_line(spool: Spool, tmp_path: Path) -> None:
    """And the protocol version is not blamed for it."""
    with mosquitto(tmp_path, "allow_anonymous false") as b:
        courier = publisher(spool, b.url, protocol="auto", username="gateway")
        async with running(courier):
            assert await eventually(lambda: courier.status().error != "")
            assert courier.status().error == "the broker refuses us: not authorized"


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x03\x00", b"\x00" * 50, b""])
async def test_what_is_no_broker_is_said_in_one_line(spool: Spool, answer: bytes) -> None:
    """An open port is not yet a broker."""

    def talk(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        courier = publisher(spool, f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        async with running(courier):
            assert await eventually(lambda: "connection to the broker ended" in courier.status().error)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for this machine that vouches for itself."""
    key, name = chain.new_key(), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, key_pem


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket open
async def test_tls_carries_the_same_and_refuses_a_stranger(spool: Spool, tmp_path: Path) -> None:
    """With the authority's file everything flows; without it the broker is not believed."""
    cert, key = certificate(tmp_path)
    plain = free_port()
    fill(spool, 200)
    lines = (f"certfile {cert}", f"keyfile {key}", f"listener {plain} 127.0.0.1")
    with mosquitto(tmp_path, *lines) as b, Centre(plain, every=10) as centre:
        url = b.url.replace("mqtt:", "mqtts:")
        stranger = publisher(spool, url)
        async with running(stranger):
            assert await eventually(lambda: "certificate" in stranger.status().error.lower())
        courier = publisher(spool, url, ca_file=cert)
        async with running(courier):
            assert await courier.drain(10)

        assert sorted(centre.records) == list(range(1, 201))


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:1883", "mqtt://", "mqtt://host:port"])
def test_an_impossible_url_is_refused_at_the_start(spool: Spool, url: str) -> None:
    """The complaint names the key and shows the form."""
    with pytest.raises(InputError, match=r"mqtt\.url: .*mqtt://HOST\[:PORT\]"):
        publisher(spool, url)


def test_a_missing_certificate_is_refused_at_the_start(spool: Spool, tmp_path: Path) -> None:
    """Not at the first connection, when nobody looks."""
    with pytest.raises(InputError, match="ca_file"):
        publisher(spool, "mqtts://127.0.0.1", ca_file=tmp_path / "nothing.pem")
