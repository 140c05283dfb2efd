"""How long a request takes on a bus."""

import pytest

from agent.acquire.bus.line import Line, line_of


def test_a_character_has_its_parity_and_stop_bits() -> None:
    """One start, eight data, parity where there is one, and the stop bits: 10 to 12 bits."""
    assert Line.rtu(9600).byte_s == pytest.approx(10 / 9600)
    assert line_of("rtu:///dev/ttyUSB0?baud=19200&parity=E&stopbits=2").byte_s == pytest.approx(12 / 19200)


def test_the_silence_is_fixed_above_19200_baud() -> None:
    """3.5 characters, but 1.75 ms on a fast line."""
    assert Line.rtu(19200).silence_s == pytest.approx(3.5 * 10 / 19200)
    assert Line.rtu(115200).silence_s == 0.00175


def test_a_longer_read_costs_more_and_a_network_little() -> None:
    """Two bytes a register on the serial line; on TCP the request itself is what costs."""
    rtu, tcp = line_of("rtu:///dev/ttyUSB0"), line_of("tcp://10.0.0.1")

    assert rtu.wire_s(80) - rtu.wire_s(40) == pytest.approx(80 * 10 / 9600)
    assert tcp.wire_s(125) < 1.1 * tcp.wire_s(1)
    assert line_of("rtu+tcp://10.0.0.1:4001") == Line.rtu(9600)
