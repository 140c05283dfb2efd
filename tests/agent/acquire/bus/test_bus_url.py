"""The URL of a bus, and what the agent never does to a meter."""

import re
from pathlib import Path

import pytest

import agent
from agent.acquire.bus.url import SerialAddress, TcpAddress, parse_url
from agent.errors import InputError


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("tcp://meter", TcpAddress(host="meter", port=502, rtu=False)),
        ("tcp://10.0.0.7:1502", TcpAddress(host="10.0.0.7", port=1502, rtu=False)),
        ("tcp://[fe80::1]:1502", TcpAddress(host="fe80::1", port=1502, rtu=False)),
        ("rtu+tcp://gateway:4001", TcpAddress(host="gateway", port=4001, rtu=True)),
        ("rtu:///dev/ttyUSB0", SerialAddress(path="/dev/ttyUSB0", baud=9600, parity="N", stopbits=1)),
        ("rtu://./line?baud=2400&stopbits=2", SerialAddress(path="./line", baud=2400, parity="N", stopbits=2)),
    ],
)
def test_url_names_a_bus(url: str, address: TcpAddress | SerialAddress) -> None:
    """A URL gives the address with its defaults, and the address written out gives itself again."""
    assert parse_url(url) == address
    assert parse_url(str(address)) == address


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("10.0.0.7", "it names no scheme"),
        ("udp://10.0.0.7", "unknown scheme 'udp'"),
        ("tcp://:502", "the host is missing"),
        ("tcp://meter:99999", "Port out of range"),
        ("tcp://meter:0", "port 0"),
        ("tcp://meter/1", "nothing may follow the port, found '/1'"),
        ("tcp://meter?unit=1", "nothing may follow the port, found '?unit=1'"),
        ("tcp://me@meter", "a user name"),
        ("rtu+tcp://gateway", "the port is missing"),
        ("rtu://", "the device is missing"),
        ("rtu:///dev/ttyUSB0?buad=9600", "unknown setting 'buad' (did you mean 'baud'?)"),
        ("rtu:///dev/ttyUSB0?baud=fast", "baud is 'fast', expected a number from 300"),
        ("rtu:///dev/ttyUSB0?parity=even", "parity is 'even', expected N, E or O"),
        ("rtu:///dev/ttyUSB0?stopbits=", "stopbits is '', expected 1 or 2"),
    ],
)
def test_wrong_url_says_what_is_wrong(url: str, complaint: str) -> None:
    """A wrong URL is named with its mistake and with the forms that are right."""
    with pytest.raises(InputError) as caught:
        parse_url(url)

    assert str(caught.value).startswith(f"bus {url!r}: ")
    assert complaint in str(caught.value)
    assert "expected tcp://HOST[:PORT], rtu://" in str(caught.value)


def test_agent_cannot_write_to_a_meter() -> None:
    """Nothing in the agent calls a function of pymodbus that writes, and reads name function 3 or 4."""
    sources = {path: path.read_text() for path in Path(agent.__path__[0]).rglob("*.py")}
    writes = re.compile(r"write_(coil|register)|mask_write|readwrite_|(Write|MaskWrite)\w*Request|diag_|\.execute\(")
    offenders = [path.name for path, text in sources.items() if "pymodbus" in text and writes.search(text)]
    doors = {path.name for path, text in sources.items() if re.search(r"^(from|import) pymodbus", text, re.MULTILINE)}

    assert offenders == []
    assert doors == {"answers.py", "client.py", "pymodbus_bus.py"}
