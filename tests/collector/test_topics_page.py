"""docs/topics.md: every field is explained, the examples are one true chain, and the check by hand works."""

import json
import re
import subprocess
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from agent.deliver import chain, wire

AGENT = Path(__file__).parents[2] / "agent"
PAGE = (Path(__file__).parents[2] / "docs/topics.md").read_text()
EXAMPLES = re.findall(r"^```json\n(.*)\n```$", PAGE, re.M)
(SCRIPT,) = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)
MESSAGES = (
    wire.Status,
    wire.Summary,
    wire.Alarm,
    wire.Event,
    wire.Checkpoint,
    wire.Gap,
    wire.Reply,
    wire.ReceiptMessage,
    wire.Command,
)
Kind = TypeVar("Kind", bound=wire.Message)
PARTS = {wire.MeterStatus: "status", wire.Reason: "alarm", wire.MeterTotal: "gap", wire.CommandBody: "command"}


def example(kind: type[Kind]) -> Kind:
    """Give the page's message of this type."""
    (found,) = (message for text in EXAMPLES if isinstance(message := wire.decode(text.encode()), kind))
    return found


@pytest.mark.parametrize("message", [*MESSAGES, *PARTS])
def test_every_field_is_explained(message: type[msgspec.Struct]) -> None:
    """A field without a row in its message's section is a secret."""
    name = PARTS.get(message, message.__name__.lower().removesuffix("message"))
    section = PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]

    assert [
        field.encode_name for field in msgspec.structs.fields(message) if f"\n| `{field.encode_name}` |" not in section
    ] == []


def test_every_event_is_named() -> None:
    """Those that the gateway's code makes, and no others."""
    (named,) = re.findall(r"^\| `event` \| \| (`.*`) \|$", PAGE, re.M)
    code = "".join(file.read_text() for file in AGENT.rglob("*.py"))
    made = re.findall(r'\b_?(?:event|tell|tell_soon)(?:\(\s*|=)"(\w+)"', code)
    made += re.findall(r'\benter_event\([^"]*?"(\w+)"', code)

    assert set(re.findall(r"`(\w+)`", named)) == set(made)


def test_there_is_an_example_of_each_message() -> None:
    """They are read by the software's own types, in the order of the page."""
    assert [type(wire.decode(example.encode())) for example in EXAMPLES] == list(MESSAGES)


def test_the_example_receipt_is_signed() -> None:
    """By the key that it carries, over the text that the page states."""
    receipt = example(wire.ReceiptMessage)

    text = f"flatwatt/v1 receipt campus-01 9f86d081 4 6-7 {receipt.head} {receipt.time_s}"

    chain.verify(receipt.public_key, text.encode(), receipt.sig)


def test_the_example_gap_is_signed_by_the_gateway() -> None:
    """By the key of the example status, over the text that the page states."""
    gap = example(wire.Gap)

    text = f"flatwatt/v1 gap campus-01 9f86d081 5-580 {gap.head} {gap.time_s}"

    chain.verify(example(wire.Status).public_key, text.encode(), gap.sig)


def test_the_example_command_is_signed_and_says_what_is_explained() -> None:
    """Its body is an order of the page's own fields."""
    command = example(wire.Command)

    body = msgspec.json.decode(command.body, type=wire.CommandBody)

    chain.verify(command.public_key, f"flatwatt/v1 command {command.body}".encode(), command.sig)
    assert (body.gateway, body.counter) == ("campus-01", example(wire.Reply).counter)


def by_hand(folder: Path, status: str, records: list[str]) -> str:
    """Run the page's script over these payloads and give what it prints."""
    (folder / "status.json").write_text(status + "\n")
    (folder / "records.jsonl").write_text("\n".join(records) + "\n")
    done = subprocess.run(["bash", "-c", SCRIPT], cwd=folder, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout


def test_the_check_by_hand_confirms_the_examples(tmp_path: Path) -> None:
    """With nothing but openssl and sha256sum."""
    assert by_hand(tmp_path, EXAMPLES[0], EXAMPLES[1:5]) == "chain: OK\nVerified OK\n"


def test_the_check_by_hand_takes_records_as_they_arrive(tmp_path: Path) -> None:
    """Twice, overtaken, and with one that no checkpoint covers yet at the end."""
    later = EXAMPLES[1].replace('"seq":1', '"seq":5')
    records = [EXAMPLES[2], EXAMPLES[1], EXAMPLES[4], *EXAMPLES[1:4], later]

    assert by_hand(tmp_path, EXAMPLES[0], records) == "chain: OK\nVerified OK\n"


def test_the_check_by_hand_misses_a_record(tmp_path: Path) -> None:
    """One that was left out, though another stands twice."""
    records = [EXAMPLES[1], EXAMPLES[1], *EXAMPLES[3:5]]

    assert by_hand(tmp_path, EXAMPLES[0], records).startswith("chain: altered or missing up to record 3")


def test_the_check_by_hand_sees_an_altered_record(tmp_path: Path) -> None:
    """One digit of one summary."""
    records = [EXAMPLES[1].replace("61240", "61241"), *EXAMPLES[2:5]]

    assert by_hand(tmp_path, EXAMPLES[0], records).startswith("chain: altered or missing up to record 3")


def test_the_check_by_hand_sees_an_altered_checkpoint(tmp_path: Path) -> None:
    """A later time, for example."""
    checkpoint = json.loads(EXAMPLES[4])
    forged = EXAMPLES[4].replace(f'"time_s":{checkpoint["time_s"]}', f'"time_s":{checkpoint["time_s"] + 1}')

    assert "Verified OK" not in by_hand(tmp_path, EXAMPLES[0], [*EXAMPLES[1:4], forged])
