"""An evidence file proves itself, and whatever is done to it shows: to us, and to openssl and sha256sum alone."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agent.deliver import chain
from agent.deliver.identity.keys import private_pem, public_pem
from agent.errors import EvidenceError
from collector.proof.walk import REMEMBERED
from tests.collector.desk import Desk
from tests.collector.gateway import START_S, FakeGateway
from tests.collector.proof.evidence import (
    HEADS,
    RECORDS,
    Members,
    by_hand,
    edit,
    gateway_day,
    judged,
    lines_of,
    pack,
    resign,
    unpacked,
    write,
)

PAGE = (Path(__file__).parents[3] / "docs/evidence.md").read_text()
(SCRIPT,) = re.findall(r"^```bash\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an evidence file of a gateway's day."""
    folder = tmp_path_factory.mktemp("evidence")
    desk = Desk(folder / "collector.db")
    gateway_day(desk)
    write(desk, folder / "day.zip")
    desk.close()
    return folder / "day.zip"


def fault(path: Path, *keys: str) -> tuple[str, int]:
    """Give what is wrong with the one stream of a file, and with which record."""
    (followed,) = judged(path, *keys).followed
    return (followed.fault.what, followed.fault.seq) if followed.fault else ("", 0)


def test_a_whole_file_is_proved_to_its_last_checkpoint(good: Path) -> None:
    """Over a declared gap, what arrived of it all the same, and a change of key that the old key signed."""
    verdict = judged(good)

    (stream,) = verdict.followed
    assert verdict.ok
    assert (stream.proved, stream.last_seq, stream.checkpoints) == (23, 23, 8)
    assert (stream.gaps, stream.unproved, len(stream.keys)) == (
        [(11, 14)],
        2,
        2,
    )  # 10 and 13 are not signed by anything


def test_openssl_and_sha256sum_alone_say_the_same(good: Path, tmp_path: Path) -> None:
    """The page's script, word for word."""
    code, text = by_hand(SCRIPT, good, tmp_path / "unpacked")

    assert code == 0
    assert "signed up to 23 by 8 checkpoints" in text
    assert text.endswith("VERIFIED\n")


def figure(lines: list[bytes]) -> None:
    """Change one figure of record 4."""
    lines[3] = lines[3].replace(b"12000.0", b"12001.0")


def noted_too(members: Members) -> None:
    """Change the figure, and the notes of the heads with it."""
    edit(figure)(members)
    head, notes = chain.first_head("campus-01", "9f86d081"), members[HEADS].splitlines()
    for place, line in enumerate(lines_of(members)[:9]):
        head = chain.next_head(head, line.rstrip(b"\n"))
        notes[place] = head[:4].hex().encode()
    members[HEADS] = b"\n".join(notes) + b"\n"
    resign(members)


def swap(lines: list[bytes]) -> None:
    """Let two records change places."""
    lines[3], lines[4] = lines[4], lines[3]


def fork(lines: list[bytes]) -> None:
    """Put another record of the same number behind the true one."""
    lines.insert(4, lines[3].replace(b"12000.0", b"12001.0"))


def other_gap(lines: list[bytes]) -> None:
    """Let the gap begin earlier, to hide a record."""
    place = next(place for place, line in enumerate(lines) if b'"kind":"gap"' in line)
    lines[place] = lines[place].replace(b'"from_seq":10', b'"from_seq":9,')
    del lines[8]


def forged_key(members: Members) -> None:
    """Put another public key in the place of the gateway's."""
    name = sorted(name for name in members if name.startswith("keys/"))[0]
    for name in [name for name in members if name.startswith("keys/")]:
        members[name] = public_pem(chain.public_text(chain.new_key()))
    resign(members)


def cut_sums(members: Members) -> None:
    """Take one line out of the list of sums."""
    members["SHA256SUMS"] = members["SHA256SUMS"].split(b"\n", 1)[1]


def left_out(members: Members) -> None:
    """Take a member away."""
    del members["findings.jsonl"]


def put_in(members: Members) -> None:
    """Add a member."""
    members["records/campus-01/extra.jsonl"] = b""


def of_no_stream(members: Members) -> None:
    """Add records that look like evidence, and are in no stream of the list."""
    members["records/campus-01/extra.jsonl"] = members[RECORDS].replace(b"9f86d081", b"extra")
    members["heads/campus-01/extra.txt"] = members[HEADS]
    resign(members)


def key_by_another_name(members: Members) -> None:
    """Let the key that signs bear the short name of another one."""
    true = next(name for name in members if name.startswith("keys/"))
    members[f"keys/campus-01.{'0' * 16}.pem"] = members[true]
    resign(members)


def again(seq: int, place: int) -> Callable[[list[bytes]], None]:
    """Tell a record a second time with another figure, at a place further on."""

    def damage(lines: list[bytes]) -> None:
        true = next(line for line in lines if b'"seq":%d,' % seq in line)
        lines.insert(place, true.replace(b"12000.0", b"12001.0"))

    return damage


def last_of_all(lines: list[bytes]) -> None:
    """Change what the last checkpoint's own signature does not cover; nothing after it would show that."""
    lines[-1] = lines[-1].replace(b'"v":1', b'"v": 1')


DAMAGES: dict[str, tuple[Callable[[Members], None], tuple[str, int]]] = {
    "figure, all else fitted": (edit(figure), ("altered", 4)),
    "figure, notes fitted too": (noted_too, ("altered", 4)),
    "byte that breaks the JSON": (edit(lambda lines: lines.__setitem__(5, b"{" + lines[5])), ("altered", 6)),
    "dropped": (edit(lambda lines: lines.__delitem__(5)), ("missing", 6)),
    "swapped": (edit(swap), ("reordered", 4)),
    "doubled": (edit(lambda lines: lines.insert(6, lines[4])), ("duplicated", 5)),
    "forked": (edit(fork), ("forked", 4)),
    "cut off": (edit(lambda lines: lines.__delitem__(slice(-3, None))), ("missing", 21)),
    "emptied": (edit(lambda lines: lines.clear()), ("missing", 1)),
    "forked behind a gap": (edit(again(4, -2)), ("forked", 4)),
    "forked within a gap": (edit(again(13, 11)), ("forked", 13)),
    "zeros put in": (edit(lambda lines: lines.__setitem__(3, lines[3].replace(b'"v":1', b'"v":1\0'))), ("altered", 4)),
    "gap moved": (edit(other_gap), ("missing", 9)),
    "gap taken out": (edit(lambda lines: lines.__delitem__(11)), ("missing", 11)),
    "end of the chain": (edit(last_of_all), ("altered", 23)),
    "key replaced": (forged_key, ("unsigned", 3)),
}
OF_THE_FILE: dict[str, Callable[[Members], None]] = {
    "figure": lambda members: members.update({RECORDS: members[RECORDS].replace(b"12000.0", b"12001.0", 1)}),
    "sum changed": lambda members: members.update({"SHA256SUMS": members["SHA256SUMS"].replace(b"a", b"b", 1)}),
    "sum left out": cut_sums,
    "member left out": left_out,
    "member put in": put_in,
    "records of no stream": of_no_stream,
    "key by another name": key_by_another_name,
    "finding struck out": lambda members: members.update({"findings.jsonl": b""}),
    "collector's key replaced": lambda members: members.update(
        {"collector.pem": public_pem(chain.public_text(chain.new_key()))}
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_first_record_that_does_not_fit_is_named(good: Path, tmp_path: Path, name: str) -> None:
    """Though the forger let every sum fit again; and the script sees it, too."""
    damage, expected = DAMAGES[name]
    members = unpacked(good)
    damage(members)
    bad = pack(tmp_path / "bad.zip", members)

    assert fault(bad) == expected
    assert not judged(bad).ok
    assert by_hand(SCRIPT, bad, tmp_path / "unpacked")[0] == 1


@pytest.mark.parametrize("name", OF_THE_FILE)
def test_what_was_done_to_the_file_is_named(good: Path, tmp_path: Path, name: str) -> None:
    """The collector signed the sums of all that is in it."""
    members = unpacked(good)
    OF_THE_FILE[name](members)
    bad = pack(tmp_path / "bad.zip", members)

    verdict = judged(bad)

    assert not verdict.ok
    assert verdict.source.faults
    assert by_hand(SCRIPT, bad, tmp_path / "unpacked")[0] == 1


def test_what_a_gap_leaves_unsigned_is_counted(good: Path, tmp_path: Path) -> None:
    """A gap carries the chain over the records since the last checkpoint: whoever alters them is not found out."""
    members = unpacked(good)
    edit(lambda lines: lines.__setitem__(9, lines[9].replace(b"12000.0", b"12001.0")))(members)
    del members[HEADS]
    resign(members)
    altered = pack(tmp_path / "altered.zip", members)

    verdict = judged(altered)

    assert verdict.followed[0].unproved == 2
    assert "  2 records between a checkpoint and the end of a gap: no signature covers them" in verdict.lines()
    assert "no signature covers 2 records" in by_hand(SCRIPT, good, tmp_path / "unpacked")[1]


def contents_with(good: Path, **changed: object) -> Members:
    """Give the members with other contents, of which every sum fits again."""
    members = unpacked(good)
    members["contents.json"] = json.dumps(json.loads(members["contents.json"]) | changed).encode()
    resign(members)
    return members


def test_a_file_cannot_say_verified_in_our_place(good: Path, tmp_path: Path) -> None:
    """Names from a file add no line, and steer no terminal."""
    name = {"gateway": "campus-01", "name": "", "site": "x)\nVERIFIED\x1b[8m"}

    lines = list(judged(pack(tmp_path / "named.zip", contents_with(good, gateways=[name]))).lines())

    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("time_s", [-1, 10**18])
def test_a_period_that_no_calendar_has_is_damage(good: Path, tmp_path: Path, time_s: int) -> None:
    """It is said, not stumbled over."""
    with pytest.raises(EvidenceError, match="the period is none"):
        judged(pack(tmp_path / "late.zip", contents_with(good, to_s=time_s)))


def test_other_ways_to_pack_are_refused(good: Path, tmp_path: Path) -> None:
    """Their libraries stumble over damage in ways of their own."""
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as archive:
        for name, content in unpacked(good).items():
            archive.writestr(name, content)

    with pytest.raises(EvidenceError, match="packed in another way"):
        judged(tmp_path / "lzma.zip")


def test_findings_may_be_larger_than_what_is_read_at_once(good: Path, tmp_path: Path) -> None:
    """Somebody who floods the centre with contradictions does not make the evidence unreadable."""
    members = unpacked(good)
    first = json.loads(members["findings.jsonl"].splitlines()[0])
    line = json.dumps(first | {"evidence": "A" * 340_000}).encode() + b"\n"
    members["findings.jsonl"] = line * 200  # 68 MB
    resign(members)

    verdict = judged(pack(tmp_path / "flood.zip", members))

    assert verdict.ok
    assert len(verdict.source.findings) == 200


def test_a_next_key_that_is_none_is_no_key(desk: Desk, tmp_path: Path) -> None:
    """A gateway may have named anything; the check goes on with the key that it had."""
    gateway = FakeGateway()
    desk.commit(gateway.status(), gateway.event("first start", None, "start"))
    desk.commit(gateway.event("next", None, "key_rotated", public_key="!!x"), gateway.checkpoint())
    gateway.rotate()
    gateway.use_next_key()
    desk.commit(("flatwatt/v1/campus-01/up/event", b"x"), gateway.checkpoint())
    write(desk, tmp_path / "next.zip")

    assert judged(tmp_path / "next.zip").followed[0].proved == 3


@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_flipped_bit_of_a_record_goes_unnoticed(good: Path, tmp_path: Path, place: int, bit: int) -> None:
    """Wherever it is, and though every sum fits again; but for the one that is declared lost, which nobody signed."""
    members = unpacked(good)
    content = bytearray(members[RECORDS])
    unsigned = content.index(b'"seq":13,')
    assume(place % len(content) not in range(content.rindex(b"\n", 0, unsigned) + 1, content.index(b"\n", unsigned)))
    content[place % len(content)] ^= 1 << bit
    members[RECORDS] = bytes(content)
    resign(members)

    verdict = judged(pack(tmp_path / "bad.zip", members))

    assert not verdict.ok


@given(cut=st.floats(0.01, 0.999))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_is_cut_off_is_said_to_be(good: Path, tmp_path: Path, cut: float) -> None:
    """At whatever byte."""
    whole = good.read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: int(len(whole) * cut)])

    with pytest.raises(EvidenceError, match="cut off or damaged"):
        judged(tmp_path / "cut.zip")


def test_the_key_of_the_owner_outweighs_those_of_the_file(good: Path, tmp_path: Path) -> None:
    """With it a file that a forger signed all through is refused."""
    desk = Desk(tmp_path / "forged.db")
    gateway_day(desk)
    write(desk, tmp_path / "forged.zip")
    desk.close()
    true_key = judged(good).followed[0].keys[0]

    assert judged(good, true_key).ok
    assert judged(tmp_path / "forged.zip").ok
    assert fault(tmp_path / "forged.zip", true_key) == ("unsigned", 3)


def test_a_part_begins_and_ends_with_checkpoints(good: Path, tmp_path: Path) -> None:
    """And reaches on to the gap that speaks of it; the same content gives the same bytes."""
    desk = Desk(good.parent / "collector.db")
    write(desk, tmp_path / "part.zip", hours=0.25, from_s=START_S + 2 * 900)
    write(desk, tmp_path / "again.zip", hours=0.25, from_s=START_S + 2 * 900)
    write(desk, tmp_path / "gap.zip", hours=0.25, from_s=START_S + 4 * 900)
    desk.close()

    (part,), (gap,) = judged(tmp_path / "part.zip").followed, judged(tmp_path / "gap.zip").followed

    assert (part.first_seq, part.last_seq, part.fault) == (5, 7, None)
    assert (gap.first_seq, gap.last_seq, gap.fault) == (9, 16, None)
    assert (tmp_path / "part.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()


def test_evidence_that_nobody_signed_is_none(desk: Desk, tmp_path: Path) -> None:
    """A stream without a checkpoint is not called verified, neither here nor there."""
    gateway = FakeGateway()
    desk.commit(gateway.status(), gateway.event("first start", None, "start"), gateway.summary())
    write(desk, tmp_path / "unsigned.zip")

    assert not judged(tmp_path / "unsigned.zip").ok
    assert by_hand(SCRIPT, tmp_path / "unsigned.zip", tmp_path / "unpacked")[0] == 1


def test_a_stream_that_nobody_declared_is_named(desk: Desk, tmp_path: Path) -> None:
    """A new one begins with an event that says why: else a spool could be wiped unseen."""
    gateway = FakeGateway()
    desk.commit(gateway.status(), *gateway.windows(2))
    write(desk, tmp_path / "new.zip")

    assert fault(tmp_path / "new.zip") == ("undeclared", 1)


def test_a_collectors_database_is_checked_as_it_is(good: Path, tmp_path: Path) -> None:
    """A byte that somebody changed in it is named by its number."""
    database = tmp_path / "collector.db"
    shutil.copy(good.parent / "collector.db", database)
    before = judged(database)
    content = database.read_bytes()
    assert b"12000.0" in content
    database.write_bytes(content.replace(b"12000.0", b"12001.0"))

    assert before.ok
    assert fault(database)[0] == "altered"


def test_memory_is_bounded_by_what_is_remembered() -> None:
    """Half a megabyte of hashes, however long the stream."""
    assert REMEMBERED * 8 <= 2**20


def run(*words: str | Path) -> tuple[int, str]:
    """Run the program; gives exit code and output."""
    command = [sys.executable, "-m", "agent.cli", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_the_verbs_write_and_check_a_file(good: Path, tmp_path: Path) -> None:
    """Exit code 0 for a whole file, 1 for a damaged one, 2 for what is none."""
    desk = Desk(tmp_path / "collector.db")
    gateway_day(desk)
    desk.close()
    key = tmp_path / "collector.key"
    key.write_bytes(private_pem(chain.new_key()))
    key.chmod(0o600)
    target = tmp_path / "day.zip"
    period = ("--from", "2026-01-01", "--to", "2026-01-02", "-o", target)

    written = run("export", "--db", tmp_path / "collector.db", "--site", "North campus", *period)
    checked = run("verify", target, "--json")
    members = unpacked(target)
    edit(figure)(members)
    refused = run("verify", pack(tmp_path / "bad.zip", members))
    nothing = run("verify", key)
    unknown = run("export", "--db", tmp_path / "collector.db", "--gateway", "nobody", *period)

    assert (written[0], checked[0], refused[0], nothing[0], unknown[0]) == (0, 0, 1, 2, 2)
    assert json.loads(checked[1])["streams"][0]["proved"] == 23
    assert "ALTERED: campus-01, stream 9f86d081, record 4" in refused[1]
    assert "is not known; known are campus-01" in unknown[1]
