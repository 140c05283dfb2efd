"""What an operator signs, and what comes back: `flatwatt command` without a gateway, and the parts of a capture."""

import base64
import gzip
import hashlib
import json
from pathlib import Path

import paho.mqtt.publish
import pytest

from agent.cli import main
from agent.deliver import chain, wire
from agent.errors import FlatwattError, InputError
from agent.operate.commands import Book, CommandDesk, Order
from collector.operator.capture import is_whole, save
from collector.operator.order import LATEST_S, parse_arguments, signed
from tests.broker import amqtt, mosquitto
from tests.collector.gateway import FakeGateway

NOW_S = 1_800_000_000.25


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    """An operator's key."""
    path = tmp_path / "operator.key"
    assert main(["keys", "operator", str(path)]) == 0
    return str(path)


def reply(part: int, parts: int, attachment: str, packed: bytes) -> wire.Reply:
    """Make one part of a capture's reply."""
    data: dict[str, float | int | str | None] = {"part": part, "parts": parts}
    return wire.Reply(
        v=1, kind="reply", stream="s", seq=part, counter=7, command="capture", state="done", time_s=0, text="",
        data=data | {"sha256": hashlib.sha256(packed).hexdigest()}, attachment=attachment,
    )  # fmt: skip


def replies(packed: bytes) -> list[wire.Reply]:
    """Give a capture in two parts, the later one first, as a broker may."""
    text = base64.b64encode(packed).decode()
    return [reply(2, 2, text[8:], packed), reply(1, 2, text[:8], packed)]


def test_what_the_operator_signs_the_gateway_believes() -> None:
    """Counter by the time in milliseconds, a minute of patience with the gateway's clock, the arguments as typed."""
    key = chain.new_key()
    arguments = parse_arguments("capture", ["meter=12", "seconds=60"])

    counter, message = signed("campus-01", "capture", arguments, key, now_s=NOW_S, expires_after_s=3600)
    desk = CommandDesk("campus-01", chain.public_text(key), Book())

    order = desk.judge(message, NOW_S - 59, "I")
    assert order == Order(counter, "capture", {"meter": "12", "seconds": 60})
    assert counter == 1_800_000_000_250


@pytest.mark.parametrize(
    ("command", "words", "why"),
    [
        ("reboot", [], "'reboot' is no command; known are resend"),
        ("capture", ["meter"], "'meter': expected NAME=VALUE"),
        ("capture", ["meter=main", "seconds=nan"], "seconds is nan, expected a whole number"),
        ("capture", ["meter=main", "seconds=1e2"], "seconds is 1e2, expected a whole number"),
        ("set_interval", ["period=1"], "period is no argument of it"),
        ("resend", ["from_seq=1", f"through_seq={'9' * 5000}"], "through_seq is 9{40}, expected a whole number"),
    ],
)
def test_a_wrong_command_is_not_signed(command: str, words: list[str], why: str) -> None:
    """The operator learns it at once, by the list that the gateway goes by."""
    with pytest.raises(InputError, match=why):
        parse_arguments(command, words)


@pytest.mark.parametrize(("gateway", "after_s"), [("Campus 01", 60), ("campus/+", 60), ("campus-01", LATEST_S + 1)])
def test_what_no_gateway_would_take_is_not_signed(gateway: str, after_s: int) -> None:
    """An id that is none, or a life of weeks."""
    with pytest.raises(InputError):
        signed(gateway, "reload", {}, chain.new_key(), now_s=NOW_S, expires_after_s=after_s)


@pytest.mark.parametrize("name", ["main.csv", "main.csv.gz"])
def test_the_parts_of_a_capture_become_a_file(tmp_path: Path, name: str) -> None:
    """Plain, or gzipped where its name says so; in whatever order the parts came."""
    save(replies(gzip.compress(b"time,meter\n")), tmp_path / name)

    content = (tmp_path / name).read_bytes()
    assert (gzip.decompress(content) if name.endswith("gz") else content) == b"time,meter\n"


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (replies(gzip.compress(b"time\n"))[:1], "a part is altered or missing"),
        ([reply(1, 1, base64.b64encode(b"not gzip").decode(), b"not gzip")], "cannot be unpacked"),
        ([reply(1, 1, "!!", b"")], "cannot be unpacked"),
        (replies(gzip.compress(b"time\n")[:-4]), "cut off"),
        (replies(gzip.compress(bytes(17 * 2**20))), "longer than 16777216 bytes"),
    ],
)
def test_a_capture_that_is_none_is_not_saved(tmp_path: Path, parts: list[wire.Reply], why: str) -> None:
    """Altered, cut off, no gzip, or a bomb: the file is not written."""
    with pytest.raises(FlatwattError, match=why):
        save(parts, tmp_path / "main.csv")

    assert not (tmp_path / "main.csv").exists()


def test_a_reply_is_whole_when_all_its_parts_are_here() -> None:
    """Until then the operator waits."""
    parts = replies(gzip.compress(b"time\n"))

    assert [is_whole(parts[:count]) for count in range(3)] == [False, False, True]


@pytest.mark.parametrize("wait", ["inf", "nan", "-1", "1e300", "long"])
def test_nobody_waits_for_ever(key_file: str, capsys: pytest.CaptureFixture[str], wait: str) -> None:
    """Nor for less than no time."""
    with pytest.raises(SystemExit, match="2"):
        main(["command", "campus-01", "reload", "--key", key_file, "--wait", wait])

    assert f"{wait} is wrong, expected seconds, up to 86400" in capsys.readouterr().err


def test_a_command_can_be_signed_where_no_broker_is(key_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The key may live on a machine without a network: the message is carried over by hand."""
    capsys.readouterr()

    code = main(["command", "campus-01", "reload", "--key", key_file, "--print"])

    message = wire.decode(capsys.readouterr().out.strip().encode())
    assert code == 0
    assert isinstance(message, wire.Command)
    assert json.loads(message.body)["command"] == "reload"


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["reload", "--save", "x"], 2, "--save: only a capture brings samples"),
        (["reload", "--mqtt", "mqtt://broker.example"], 2, "is not encrypted"),
        (["reload", "--mqtt", "mqtt://127.0.0.1:9"], 1, "cannot be reached"),
        (["reload", "--key", "gone.key"], 2, "gone.key: cannot read this private key"),
    ],
)
def test_what_cannot_be_sent_is_said(
    key_file: str, capsys: pytest.CaptureFixture[str], words: list[str], code: int, why: str
) -> None:
    """Before anything is signed, or by the broker that is not there."""
    assert main(["command", "campus-01", "--key", key_file, *words]) == code
    assert why in capsys.readouterr().err


def test_a_gateway_that_is_away_finds_the_command_when_it_comes(
    key_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Retained; and the operator learns why nothing was heard."""
    topic, status = FakeGateway().status(state="offline")
    with mosquitto(tmp_path) as broker:
        order = ["command", "campus-01", "reload", "--key", key_file, "--mqtt", broker.url, "--wait", "0.1"]
        code, unknown = main(order), capsys.readouterr().err
        paho.mqtt.publish.single(topic, status, qos=1, retain=True, port=broker.port)
        main(order)

    assert code == 1
    assert "no gateway campus-01 has ever spoken at this broker" in unknown
    assert "campus-01 is away; the command waits at the broker and expires in 1.0 h" in capsys.readouterr().err


def test_a_broker_that_denies_the_operator_is_told_apart_from_a_gateway_that_is_away(
    key_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its access rules, not the gateway, are to be looked at."""
    rules = tmp_path / "acl"
    rules.write_text("topic read flatwatt/v1/#\n")
    with mosquitto(tmp_path, f"acl_file {rules}") as broker:
        code = main(["command", "campus-01", "reload", "--key", key_file, "--mqtt", broker.url])

    assert code == 1
    assert "the broker does not take the command: Not authorized; see its access rules" in capsys.readouterr().err


def test_a_broker_of_mqtt_3_1_1_will_do(key_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It refuses version 5 in one way or another; the command goes out all the same."""
    with amqtt(tmp_path) as broker:
        main(["command", "campus-01", "reload", "--key", key_file, "--mqtt", broker.url, "--wait", "0.2"])

    assert "no gateway campus-01 has ever spoken at this broker" in capsys.readouterr().err
