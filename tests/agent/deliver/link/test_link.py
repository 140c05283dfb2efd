"""One connection to a broker that says what it likes."""

import asyncio
from pathlib import Path

import pytest

from agent.config import MqttConfig
from agent.deliver.link.access import Access
from agent.deliver.link.link import Link
from agent.errors import FlatwattError, InputError

WELCOME = b"\x20\x03\x00\x00\x00"  # MQTT 5
MESSAGE = b"\x32\x07\x00\x01a\x00\x01\x00x"  # "x" on topic "a"


async def test_what_cannot_be_noted_ends_the_connection() -> None:
    """A full disk while a receipt is noted is the publisher's error, not a traceback of the event loop."""
    loop_errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: loop_errors.append(context))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(WELCOME)
        await asyncio.sleep(0.05)  # the welcome is taken first
        writer.write(MESSAGE)
        await reader.read()  # until the link is closed
        writer.close()

    def full(_topic: str, _payload: bytes) -> None:
        raise FlatwattError("the disk is full")

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        access = Access("127.0.0.1", server.sockets[0].getsockname()[1], tls=None, username=None, password=None)
        link = Link(access, "5", "gateway")
        link.on_message = full
        try:
            await link.open("will", b"offline")
            with pytest.raises(FlatwattError, match="the disk is full"):
                await asyncio.wait_for(link.broken, 5)
        finally:
            link.close()
            await asyncio.sleep(0.05)

    assert loop_errors == []


def test_a_password_that_is_no_text_is_refused_at_the_start(tmp_path: Path) -> None:
    """The complaint names the key and the file."""
    file = tmp_path / "password"
    file.write_bytes(b"\xff\xfe")
    file.chmod(0o600)
    config = MqttConfig(
        url="mqtt://127.0.0.1",
        protocol="5",
        username="gateway",
        password_file=file,
        ca_file=None,
        cert_file=None,
        key_file=None,
        plaintext=False,
    )

    with pytest.raises(InputError, match=r"mqtt\.password_file: .*password: not UTF-8 text"):
        Access.read(config)
