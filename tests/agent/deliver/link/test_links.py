"""How a publisher gets to its broker, and what it says where it does not."""

import asyncio
import datetime
import ipaddress
import logging
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from agent.deliver import chain
from agent.deliver.spool.spool import Spool
from agent.errors import InputError
from tests.agent.deliver.centre import GATEWAY, Centre, fill
from tests.agent.deliver.courier import eventually, publisher, running
from tests.broker import free_port, mosquitto


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path / "spool.db", GATEWAY)


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


def certificate(folder: Path, *, address: str = "127.0.0.1", days_left: int = 1) -> tuple[Path, Path]:
    """Make a certificate for an address that vouches for itself."""
    key, name = chain.new_key(), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days_left))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
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
    encrypted = free_port()
    fill(spool, 200)
    lines = (f"listener {encrypted} 127.0.0.1", f"certfile {cert}", f"keyfile {key}")
    with mosquitto(tmp_path, *lines) as b, Centre(b.port, every=10) as centre:
        url = f"mqtts://127.0.0.1:{encrypted}"
        stranger = publisher(spool, url)
        async with running(stranger):
            assert await eventually(lambda: "certificate" in stranger.status().error.lower())
        courier = publisher(spool, url, ca_file=cert)
        async with running(courier):
            assert await courier.drain(10)

        assert sorted(centre.records) == list(range(1, 201))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket open
@pytest.mark.parametrize(
    ("shown", "trusted", "said"),
    [
        ({"days_left": -1}, None, "certificate has expired"),
        ({"address": "127.0.0.9"}, None, "IP address mismatch"),
        ({}, {}, "self-signed certificate"),
    ],
    ids=["expired", "another host", "another authority"],
)
async def test_a_broker_that_is_not_the_one_we_trust_gets_nothing(
    spool: Spool, tmp_path: Path, shown: dict[str, Any], trusted: dict[str, Any] | None, said: str
) -> None:
    """The records wait, the reason is told once, and it is tried again: certificates are renewed in time."""
    cert, key = certificate(tmp_path, **shown)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    if trusted is not None:
        (tmp_path / "other").mkdir()
        cert, _ = certificate(tmp_path / "other", **trusted)
    fill(spool, 3)
    came: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0, ssl=context) as server:
        courier = publisher(spool, f"mqtts://127.0.0.1:{server.sockets[0].getsockname()[1]}", ca_file=cert)
        async with running(courier):
            assert await eventually(lambda: "certificate verify failed" in courier.status().error)

    assert said in courier.status().error
    assert came == []
    assert courier.status().pending == 3


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:1883", "mqtt://", "mqtt://host:port"])
def test_an_impossible_url_is_refused_at_the_start(spool: Spool, url: str) -> None:
    """The complaint names the key and shows the form."""
    with pytest.raises(InputError, match=r"mqtt\.url: .*mqtt://HOST\[:PORT\]"):
        publisher(spool, url)


def test_a_missing_certificate_is_refused_at_the_start(spool: Spool, tmp_path: Path) -> None:
    """Not at the first connection, when nobody looks."""
    with pytest.raises(InputError, match="ca_file"):
        publisher(spool, "mqtts://127.0.0.1", ca_file=tmp_path / "nothing.pem")
