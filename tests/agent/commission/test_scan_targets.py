"""Where a scan looks: hosts, settings of a line, unit ids."""

import pytest

from agent.acquire.profiles.profile import find_profile
from agent.commission.scan.targets import MOST_HOSTS, bauds, hosts, parities, settings, units
from agent.errors import InputError

SDM120, EM340 = find_profile("eastron_sdm120"), find_profile("carlo_gavazzi_em340")  # 2400 8N1 and 9600 8N1


@pytest.mark.parametrize(
    ("target", "count", "first", "last"),
    [
        ("tcp://10.0.0.7", 1, "tcp://10.0.0.7:502", "tcp://10.0.0.7:502"),
        ("tcp://meter.example:1502", 1, "tcp://meter.example:1502", "tcp://meter.example:1502"),
        ("tcp://my-10-20", 1, "tcp://my-10-20:502", "tcp://my-10-20:502"),
        ("tcp://192.168.1.10-40", 31, "tcp://192.168.1.10:502", "tcp://192.168.1.40:502"),
        ("rtu+tcp://192.168.1.10-11:4001", 2, "rtu+tcp://192.168.1.10:4001", "rtu+tcp://192.168.1.11:4001"),
        ("tcp://192.168.1.0/28", 14, "tcp://192.168.1.1:502", "tcp://192.168.1.14:502"),
        ("tcp://192.168.1.77/32:1502", 1, "tcp://192.168.1.77:1502", "tcp://192.168.1.77:1502"),
        ("tcp://10.1.0.0/22", 1022, "tcp://10.1.0.1:502", "tcp://10.1.3.254:502"),
    ],
)
def test_hosts_of_a_target(target: str, count: int, first: str, last: str) -> None:
    """One host, hosts that differ in the last number, or a network."""
    found = hosts(target)

    assert (len(found), found[0], found[-1]) == (count, first, last)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("tcp://10.0.0.0/8", f"has 16777216 addresses, and at most {MOST_HOSTS} are scanned at once"),
        ("tcp://10.0.0.40-10", "40-10 is no range"),
        ("tcp://10.0.0.10-300", "10-300 is no range"),
        ("tcp://10.0.0/24", "expected a network such as tcp://192.168.1.0/28"),
        ("tcp://", "the host is missing"),
        ("rtu+tcp://10.0.0.1-3", "the port is missing"),
        ("udp://10.0.0.1", "unknown scheme 'udp'"),
    ],
)
def test_a_wrong_target_says_what_was_expected(target: str, told: str) -> None:
    """With the target and what is wrong with it."""
    with pytest.raises(InputError) as wrong:
        hosts(target)

    assert told in str(wrong.value)


def test_settings_of_a_line_begin_with_those_of_most_models() -> None:
    """Then every usual one; each once."""
    found = [(s.baud, s.parity) for s in settings("rtu:///dev/ttyUSB0", (), (), [SDM120, EM340, EM340])]

    assert found[:3] == [(9600, "N"), (2400, "N"), (9600, "E")]
    assert len(found) == len(set(found)) == 14


@pytest.mark.parametrize(
    ("target", "only_bauds", "only_parities", "found"),
    [
        ("rtu:///dev/ttyUSB0?baud=19200", (), (), [(19200, "N"), (19200, "E")]),
        ("rtu:///dev/ttyUSB0?baud=1200&parity=O", (), (), [(1200, "O")]),
        ("rtu:///dev/ttyUSB0", (9600, 19200), ("E",), [(9600, "E"), (19200, "E")]),
        ("rtu:///dev/ttyUSB0", (300,), (), [(300, "N"), (300, "E")]),
    ],
)
def test_settings_are_narrowed(
    target: str, only_bauds: tuple[int, ...], only_parities: tuple[str, ...], found: list[tuple[int, str]]
) -> None:
    """By the URL, by --baud and by --parity."""
    assert [(s.baud, s.parity) for s in settings(target, only_bauds, only_parities, [SDM120, EM340])] == found


def test_lists_of_an_option() -> None:
    """Unit ids as numbers and ranges, each once; baud rates; parities in either case."""
    assert units("20,1-3,2") == (20, 1, 2, 3)
    assert bauds("9600,19200") == (9600, 19200)
    assert parities("n,E") == ("N", "E")


@pytest.mark.parametrize("words", ["", "0-256", "5-3", "a", "1,,2", "1-2-3"])
def test_wrong_unit_ids(words: str) -> None:
    """Outside 0 to 255, or no numbers."""
    with pytest.raises(InputError, match="expected unit ids from 0 to 255"):
        units(words)


@pytest.mark.parametrize("words", ["", "fast", "9600,", "100"])
def test_wrong_baud_rates(words: str) -> None:
    """Not a number, or none that a port has."""
    with pytest.raises(InputError, match="expected baud rates such as"):
        bauds(words)


def test_a_wrong_parity() -> None:
    """Mark and space are not for Modbus."""
    with pytest.raises(InputError, match="expected N, E or O"):
        parities("M")
