"""Is a gateway the one that it says: keys, boots, restored disks, clones, silence."""

import re
import time
from pathlib import Path

import pytest

from agent.deliver.identity.keys import public_pem
from collector.ingest import batch, intake
from collector.ingest.enrolled import Enrolled
from collector.store import findings as store_findings
from collector.store.reader import reading
from tests.collector.desk import Desk
from tests.collector.gateway import WINDOW_S, FakeGateway
from tests.collector.program import until


def findings(desk: Desk) -> list[tuple[str, str]]:
    """Give kind and state of each finding."""
    with reading(desk.database) as reader:
        rows = reader.findings(5000)
    return sorted((row["kind"], "open" if row["resolved_s"] is None else "settled") for row in rows)


def booted(boot_id: str, boot_s: float = 100.0) -> FakeGateway:
    """Give a gateway of this boot."""
    gateway = FakeGateway()
    gateway.boot_id, gateway.boot_s = boot_id, boot_s
    return gateway


def test_yesterdays_messages_change_nothing(desk: Desk) -> None:
    """A replay of the very bytes is no news, no finding and no double row."""
    gateway = booted("a")
    yesterday = [gateway.status(), *gateway.windows(3)]
    desk.commit(*yesterday)
    gateway.boot_s = 90_000.0
    desk.commit(gateway.status(site="New name"))

    desk.commit(*yesterday)

    assert findings(desk) == []
    with reading(desk.database) as reader:
        assert b"New name" in reader.gateways()[0]["status"]
        assert reader.streams(1)[0]["through"] == 6


def test_a_restored_disk_is_a_rollback(desk: Desk) -> None:
    """A birth that knows of fewer records than were sent before it; it rings for a day."""
    gateway = booted("a")
    desk.commit(gateway.status(), *gateway.windows(3))
    gateway.seq, gateway.boot_id = 2, "b"

    desk.commit(gateway.status())
    restored = findings(desk)
    desk.now_s += 90_000
    gateway.stream, gateway.boot_s = "new", 90_200.0
    desk.commit(gateway.status())

    assert (restored, findings(desk)) == ([("rollback", "open")], [("rollback", "settled")])


def test_a_gateway_that_found_itself_set_back_is_believed(desk: Desk) -> None:
    """A receipt told it so before its birth told us; it says it in its new stream."""
    gateway = booted("a")

    desk.commit(gateway.status(), gateway.event("receipt up to record 147", None, "spool_rolled_back"))

    assert findings(desk) == [("rollback", "open")]


def test_a_late_birth_is_no_rollback(desk: Desk) -> None:
    """A retained status comes after records that were made after it."""
    gateway = booted("a")
    birth = gateway.status()
    gateway.boot_s = 900.0
    desk.commit(*gateway.windows(3))

    desk.commit(birth)

    assert findings(desk) == []


def test_two_boots_that_speak_in_turn_are_a_clone(desk: Desk) -> None:
    """Said once; settled when one of them was silent for a day."""
    gateway = booted("a")
    for boot_id, boot_s in (("a", 100.0), ("b", 50.0), ("a", 110.0), ("b", 60.0), ("a", 120.0)):
        gateway.boot_id, gateway.boot_s = boot_id, boot_s
        desk.commit(gateway.status())
    alternating = findings(desk)
    desk.now_s += 100_000
    for boot_s in (130.0, 140.0):
        gateway.boot_s = boot_s
        desk.commit(gateway.status())

    assert (alternating, findings(desk)) == ([("clone", "open")], [("clone", "settled")])


def test_a_restart_is_no_clone(desk: Desk) -> None:
    """A new boot takes over; the will of the old one comes late."""
    gateway = booted("a")
    will = gateway.status(state="offline")
    desk.commit(gateway.status())
    gateway.boot_id, gateway.boot_s = "b", 10.0

    desk.commit(gateway.status(), will)

    assert findings(desk) == []
    with reading(desk.database) as reader:
        assert b'"online"' in reader.gateways()[0]["status"]


@pytest.mark.parametrize(("leave", "after_s"), [(False, 3 * WINDOW_S), (True, 86_400)])
def test_silence_is_told_once_and_settled_by_the_return(desk: Desk, leave: bool, after_s: int) -> None:
    """After three windows, or a day where the gateway took leave."""
    gateway = booted("a")
    desk.commit(gateway.status())
    gateway.boot_s += 1
    if leave:
        desk.commit(gateway.status(state="offline"))
    start_s = desk.now_s
    seen = []
    for late_s in (after_s - 2, after_s + 2, after_s + 200):
        desk.now_s = start_s + late_s
        desk.look()
        seen.append(findings(desk))
    gateway.boot_s += 1
    desk.commit(gateway.status())

    assert seen == [[], [("silence", "open")], [("silence", "open")]]
    assert findings(desk) == [("silence", "settled")]


def test_what_a_broker_or_a_stranger_says_ends_no_silence(desk: Desk) -> None:
    """Neither the retained status that comes with each connection, nor one with another key, nor an old one."""
    gateway, stranger = booted("a"), booted("a", 200.0)
    old = gateway.status()
    gateway.boot_s += 50
    retained = gateway.status()
    desk.commit(old, retained)
    desk.now_s += 3 * WINDOW_S + 60
    desk.look()

    desk.commit(retained, old, stranger.status(), every_stream=True)

    assert ("silence", "open") in findings(desk)


def test_who_did_not_listen_calls_nobody_silent(desk: Desk) -> None:
    """A collector that was away waits as long as for any other gateway."""
    desk.commit(booted("a").status())
    desk.now_s += 10 * WINDOW_S

    desk.look(listening_s=desk.now_s - 60)

    assert findings(desk) == []


def test_the_intake_looks_by_itself_while_it_is_connected(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing arrives, and it finds the silence all the same; without a broker it calls nobody silent."""
    monkeypatch.setattr(intake, "LOOK_S", 0.02)
    desk.commit(booted("a").status())
    with desk.running() as running:
        running.lost()
        desk.now_s += 4 * WINDOW_S
        time.sleep(0.1)
        away = findings(desk)
        running.connected()
        desk.now_s += 4 * WINDOW_S
        found = until(lambda: findings(desk), bool)
        told = until(lambda: desk.told, bool)
        time.sleep(0.1)

    assert (away, found) == ([], [("silence", "open")])
    assert told == desk.told == 1, "open pages learn of it, once"


def test_every_kind_of_finding_is_explained() -> None:
    """Each has a row with what to do in the page on evidence, and no other has."""
    page = (Path(__file__).parents[3] / "docs/evidence.md").read_text().split("## What a person does with a finding")[1]

    assert set(re.findall(r"^\| `(\w+)` \|", page, re.M)) == set(store_findings.KINDS)


def test_the_next_key_is_believed_when_the_old_one_names_it(desk: Desk) -> None:
    """An event under the old key's checkpoint; the status that came too early is settled with it."""
    gateway = FakeGateway()
    desk.commit(gateway.status(), *gateway.windows(1))
    announced = [gateway.rotate(), gateway.checkpoint()]
    gateway.use_next_key()
    desk.commit(gateway.status())
    early = findings(desk)

    desk.commit(*announced, *gateway.windows(2), gateway.status())

    assert (early, findings(desk)) == ([("key", "open")], [("key", "settled")])
    with reading(desk.database) as reader:
        assert reader.streams(1)[0]["verified"] == 8


def test_a_key_that_only_itself_names_is_not_believed(desk: Desk) -> None:
    """Whoever may publish as the gateway but has not its key cannot bring in another."""
    gateway = FakeGateway()
    desk.commit(gateway.status(), *gateway.windows(1))
    rotation = gateway.rotate()
    gateway.use_next_key()

    desk.commit(rotation, gateway.checkpoint(), gateway.status())

    assert findings(desk) == [("key", "open"), ("signature", "open")]


def test_a_gateway_that_is_enrolled_anew_is_believed(desk: Desk, tmp_path: Path) -> None:
    """The pin comes from the authority: a stranger is refused, a replacement needs no hand at the database."""
    old, new = FakeGateway(stream="old"), FakeGateway(stream="new")
    desk.enrol(Enrolled(tmp_path))
    desk.commit(old.status())
    stranger = findings(desk)
    for gateway in (old, new):
        (tmp_path / "campus-01.pem").write_bytes(public_pem(gateway.public_key))
        desk.commit(gateway.status(), *gateway.windows(1))

    assert stranger == [("key", "open")]
    assert findings(desk) == [("key", "settled")]
    with reading(desk.database) as reader:
        assert [row["verified"] for row in reader.streams(2)] == [2, 2]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_doubted_clock_rings_until_the_doubt_is_over(desk: Desk, order: tuple[int, int]) -> None:
    """As the gateway tells it, in whatever order it arrives."""
    gateway = FakeGateway()
    doubt = gateway.event("at least 90 s behind", None, "clock_doubt", state="distrusted", off_s=90.0)
    desk.commit(doubt)
    doubted = findings(desk)
    later = [
        gateway.event("again", None, "clock_doubt", state="raised"),
        gateway.event("", None, "clock_doubt", state="cleared"),
    ]
    for place in order:
        desk.commit(later[place])

    assert (doubted, {state for _, state in findings(desk)}) == ([("clock", "open")], {"settled"})


def test_a_flood_of_streams_is_bounded(desk: Desk) -> None:
    """What is too much is refused, gets no receipt, and is taken on the next day."""
    gateways = [FakeGateway(stream=f"s{number}") for number in range(batch.STREAMS_A_DAY + 5)]

    receipts = desk.commit(*(gateway.summary() for gateway in gateways))
    later = desk.commit(gateways[-1].summary())
    desk.now_s += 90_000
    tomorrow = desk.commit(gateways[-1].summary())

    assert (len(receipts), later, len(tomorrow)) == (batch.STREAMS_A_DAY, [], 1)


def test_a_flood_of_strangers_is_bounded(desk: Desk) -> None:
    """Gateways that never tell a key cannot fill the table of streams."""
    desk.commit(*(FakeGateway(f"g{number}").summary() for number in range(batch.STRANGERS_A_DAY)))

    assert desk.commit(FakeGateway("one-more").summary()) == []


def test_a_kind_that_is_full_forgets_what_is_settled_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that comes and goes for years still rings."""
    monkeypatch.setattr(store_findings, "FINDINGS_PER_KIND", 20)
    gateway = booted("a")
    desk.commit(gateway.status())
    for _ in range(23):
        desk.now_s += 4 * WINDOW_S
        desk.look()
        gateway.boot_s += 1
        desk.commit(gateway.status())
    desk.now_s += 4 * WINDOW_S
    desk.look()

    assert findings(desk).count(("silence", "open")) == 1
    assert len(findings(desk)) == 20
