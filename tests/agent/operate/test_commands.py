"""Which commands the gateway believes, and which not."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from agent.deliver.identity.keys import load_public_key
from agent.deliver.wire import Trust
from agent.operate.commands import LONGEST_S, Book, CommandDesk, NotYetError, Order, RefusalError
from tests.operator import GATEWAY, NOW_S, Operator

OPERATOR = Operator()
STRANGER = Operator()


def desk(book: Book | None = None) -> CommandDesk:
    """Make the desk of our gateway, which trusts our operator."""
    return CommandDesk(GATEWAY, OPERATOR.public_key, book or Book())


def refusal(payload: bytes, at: CommandDesk | None = None, now_s: float = NOW_S) -> RefusalError:
    """Give why a message is refused."""
    with pytest.raises(RefusalError) as caught:
        (at or desk()).judge(payload, now_s, "S")
    return caught.value


def changed(**fields: Any) -> bytes:
    """Give a good command with fields of its message changed afterwards."""
    return json.dumps(json.loads(OPERATOR.order()) | fields).encode()


def test_a_command_of_the_operator_is_believed() -> None:
    """Signed, ours, new, in time, on the list."""
    payload = OPERATOR.order("capture", 7, arguments={"meter": "main", "seconds": 60})

    assert desk().judge(payload, NOW_S, "I") == Order(7, "capture", {"meter": "main", "seconds": 60})


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (STRANGER.order(), "signed by another key"),
        (changed(sig=json.loads(STRANGER.order())["sig"]), "the signature does not fit"),
        (changed(public_key=STRANGER.public_key), "signed by another key"),
        (changed(body=OPERATOR.body("rotate")), "the signature does not fit"),
        (changed(sig="!"), "the signature does not fit"),
        (OPERATOR.order(gateway="campus-02"), "a command to gateway 'campus-02', and this is 'campus-01'"),
        (b"x" * 10_000_000, "10000000 bytes came as a command"),
        (b"\xff\xfe\x00", "not a flatwatt message"),
        (b"[" * 8000, "not a flatwatt message"),
        (changed(body="\ud800"), "not a flatwatt message"),
        (b'{"v":1,"kind":"command","body":' + b'"' + b"x" * 8000 + b'"', "not a flatwatt message"),
        (b'{"v":1,"kind":"receipt"}', "not a flatwatt message"),
        (OPERATOR.sign("no JSON"), "the body is no order"),
        (OPERATOR.sign('{"gateway":"campus-01"}'), "the body is no order"),
        (OPERATOR.order(shell="rm"), "the body is no order"),
        (OPERATOR.order(counter=2**60), "an old command"),
        (OPERATOR.order(counter=0), "an old command"),
    ],
)
def test_what_is_no_command_of_the_operator_to_us_is_refused(payload: bytes, why: str) -> None:
    """Forged, altered, to another gateway, too long, no text, no JSON, no order: refused, and no counter is used."""
    at = desk()

    assert why in str(refusal(payload, at))
    assert at.book.counter == 0


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"expires_s": int(NOW_S) - 10}, "expired 10 s ago"),
        ({"command": "reboot"}, "unknown command 'reboot'; known are resend, set_interval"),
        ({"command": "write_register", "arguments": {"value": 1}}, "unknown command 'write_register'"),
        ({"command": "capture"}, "capture: meter is missing; seconds is missing"),
        ({"command": "capture", "arguments": {"meter": "m", "seconds": 901}}, "seconds is 901, expected a whole"),
        ({"command": "capture", "arguments": {"meter": "m", "seconds": 0.5}}, "seconds is 0.5, expected a whole"),
        ({"command": "capture", "arguments": {"meter": 5, "seconds": 5}}, "meter is 5, expected a name"),
        ({"command": "capture", "arguments": {"meter": "m" * 25, "seconds": 5}}, "expected a name of at most 24"),
        ({"command": "resend", "arguments": {"from_seq": 0, "through_seq": 9}}, "from_seq is 0, expected"),
        ({"command": "resend", "arguments": {"from_seq": "1", "through_seq": 9}}, "from_seq is 1, expected a whole"),
        ({"command": "set_interval", "arguments": {"period_s": 0.01}}, "period_s is 0.01, expected a number from 0.1"),
        ({"command": "reload", "arguments": {"file": "/etc/passwd"}}, "file is no argument of it"),
    ],
)
def test_what_the_operator_should_not_have_signed_is_refused_for_good(order: dict[str, Any], why: str) -> None:
    """Expired, not on the list, wrongly told: its counter is used up, so it cannot come to life later."""
    at = desk()

    found = refusal(OPERATOR.order(**({"counter": 5} | order)), at)

    assert why in str(found)
    assert (found.counter, found.is_final, at.book.counter) == (5, True, 5)


def test_a_command_that_would_live_for_weeks_is_refused() -> None:
    """Who steals a message from the broker shall not have it for long."""
    assert "more than 7 days" in str(refusal(OPERATOR.order(expires_s=int(NOW_S) + LONGEST_S + 1)))


def test_a_retained_command_that_comes_again_is_no_news() -> None:
    """The broker sends it with every connection, and it is executed once."""
    at = desk()
    at.judge(OPERATOR.order(), NOW_S, "S")

    assert at.judge(OPERATOR.order(), NOW_S, "S") is None
    assert desk(Book.read(at.book.encoded())).judge(OPERATOR.order(), NOW_S, "S") is None


@pytest.mark.parametrize("replayed", [OPERATOR.order(counter=8), OPERATOR.order("rotate", 9)])
def test_an_older_command_is_not_executed_again(replayed: bytes) -> None:
    """What was recorded at the broker is worth nothing: the counter has passed; nor is one counter good for two."""
    at = desk()
    at.judge(OPERATOR.order(counter=9), NOW_S, "S")

    assert "an old command: its counter is not above 9" in str(refusal(replayed, at))


@pytest.mark.parametrize(
    ("order", "clock"), [({"not_before_s": int(NOW_S) + 30}, "S"), ({}, "U"), ({}, "R"), ({"expires_s": 5}, "U")]
)
def test_what_cannot_be_judged_yet_is_left_for_later(order: dict[str, Any], clock: Trust) -> None:
    """Its time has not come, or the gateway does not know the time: nothing is executed, and no counter used."""
    at = desk()

    with pytest.raises(NotYetError):
        at.judge(OPERATOR.order(**order), NOW_S, clock)

    assert at.book.counter == 0


def test_another_key_of_the_operator_counts_from_the_start() -> None:
    """A counter that ran away, as by an operator's wrong clock, does not lock the gateway for ever."""
    book = Book(counter=2**52, under_way={2**52: "capture"})

    at = desk(book)

    assert at.judge(OPERATOR.order(counter=1), NOW_S, "S") is not None
    assert at.book.under_way == {2**52: "capture"}


def test_a_command_made_with_openssl_alone_is_believed(tmp_path: Path) -> None:
    """The page shows how; the key may lie where no flatwatt is."""
    page = (Path(__file__).parents[3] / "docs/commands.md").read_text()
    script = page.split("```bash\n")[1].split("```")[0]
    bash = shutil.which("bash")
    assert bash

    subprocess.run([bash, "-euc", script], cwd=tmp_path, check=True, capture_output=True)

    public_key = load_public_key(tmp_path / "operator.key.pub")
    order = CommandDesk(GATEWAY, public_key, Book()).judge((tmp_path / "command.json").read_bytes(), time.time(), "I")
    assert order is not None
    assert (order.command, order.arguments) == ("diagnose", {})
