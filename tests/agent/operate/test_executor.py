"""How a command is executed: once, its counter on the disk before, its reply with it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from agent.deliver import wire
from agent.deliver.command_table import Value
from agent.deliver.spool.spool import Spool
from agent.errors import FlatwattError
from agent.operate.commands import Book
from agent.operate.executor import SLOT, Done, Executor, Outcome
from agent.operate.refusals import Refusals
from agent.records import ClockReading, Trust
from tests.operator import GATEWAY, NOW_S, Operator

OPERATOR = Operator()
STRANGER = Operator()


class Bench:
    """An executor over a real spool, with one command that does what it is told, and a clock set by hand."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.now_s, self.trust = NOW_S, "S"
        self.replies: list[wire.Reply] = []
        self.begun: list[Done] = []
        self.kept_before: list[Book] = []
        self.outcome: Outcome | FlatwattError | None = Outcome("all is well", {"n": 1})
        self.executor = Executor(
            spool,
            OPERATOR.public_key,
            {"diagnose": self._execute, "rotate": self._execute},
            read_clock=self._read_clock,
            reply=self._reply,
        )

    def _execute(self, _arguments: Mapping[str, Value], done: Done) -> None:
        self.kept_before.append(Book.read(self.spool.slots[SLOT]))
        self.begun.append(done)
        if isinstance(self.outcome, FlatwattError):
            raise self.outcome
        if self.outcome is not None:
            done(self.outcome)

    def _read_clock(self) -> ClockReading:
        trust: Trust = "U" if self.trust == "U" else "S"
        return ClockReading(utc_s=self.now_s, boot_s=1.0, boot_id="b", trust=trust, error_s=0.0)

    def _reply(self, replies: Sequence[wire.Reply], slots: Mapping[str, bytes]) -> None:
        with self.spool.batch() as batch:
            batch.slots |= slots
        self.replies += replies

    def told(self) -> list[tuple[int, str, str]]:
        """Give counter, command and state of each reply."""
        return [(reply.counter, reply.command, reply.state) for reply in self.replies]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An executor that knows of nothing yet."""
    with closing(Spool(tmp_path / "spool.db", GATEWAY)) as spool:
        yield Bench(spool)


def test_a_command_is_executed_and_its_reply_recorded(bench: Bench) -> None:
    """What it brought stands in the reply."""
    bench.executor.take(OPERATOR.order())

    assert bench.told() == [(1, "diagnose", "done")]
    assert (bench.replies[0].text, bench.replies[0].data) == ("all is well", {"n": 1})


def test_the_counter_is_kept_before_anything_is_done(bench: Bench) -> None:
    """A crash in the middle must not let the broker repeat the command."""
    bench.executor.take(OPERATOR.order(counter=9))

    assert [(book.counter, book.under_way) for book in bench.kept_before] == [(9, {9: "diagnose"})]
    assert Book.read(bench.spool.slots[SLOT]).under_way == {}


def test_a_command_cut_off_by_a_crash_is_told_at_the_next_start_and_not_tried_again(bench: Bench) -> None:
    """Nobody can know how far it came."""
    bench.outcome = None
    bench.executor.take(OPERATOR.order())

    after = Bench(bench.spool)
    after.executor.resume()
    after.executor.take(OPERATOR.order())

    assert after.told() == [(1, "diagnose", "failed")]
    assert after.replies[0].text == "the agent was stopped while it executed this command"
    assert after.begun == []


def test_what_comes_to_an_end_after_all_is_composed_anew_changes_nothing(bench: Bench) -> None:
    """Another executor keeps the book then, and an old one would take its counter back."""
    bench.outcome = None
    bench.executor.take(OPERATOR.order())
    bench.executor.close()
    after = Bench(bench.spool)
    after.executor.take(OPERATOR.order(counter=2))

    bench.begun[0](Outcome("too late"))

    assert bench.told() == []
    assert Book.read(bench.spool.slots[SLOT]).counter == 2


def test_what_failed_says_why(bench: Bench) -> None:
    """One reply, with the reason."""
    bench.outcome = FlatwattError("the meter is away")

    bench.executor.take(OPERATOR.order())

    assert [(reply.state, reply.text) for reply in bench.replies] == [("failed", "the meter is away")]


def test_a_long_attachment_comes_in_parts(bench: Bench) -> None:
    """Each in a reply of its own, numbered."""
    bench.outcome = Outcome("samples", {"n": 1}, ("abc", "def"))

    bench.executor.take(OPERATOR.order())

    assert [(reply.data, reply.attachment) for reply in bench.replies] == [
        ({"n": 1, "part": 1, "parts": 2}, "abc"),
        ({"n": 1, "part": 2, "parts": 2}, "def"),
    ]


def test_a_command_whose_time_has_not_come_waits_for_it(bench: Bench) -> None:
    """It is looked at again with each tick, and executed once."""
    bench.executor.take(OPERATOR.order(not_before_s=int(NOW_S) + 30))
    bench.executor.tick()
    too_early = bench.told()

    bench.now_s += 30
    bench.executor.tick()
    bench.executor.tick()

    assert too_early == []
    assert bench.told() == [(1, "diagnose", "done")]


def test_a_gateway_that_does_not_know_the_time_obeys_when_it_does(bench: Bench) -> None:
    """It may have been repeated by somebody in the meantime, and may have expired: nobody can tell yet."""
    bench.trust = "U"
    bench.executor.take(OPERATOR.order())
    bench.trust = "S"
    bench.executor.tick()

    assert bench.told() == [(1, "diagnose", "done")]


def test_several_commands_wait_for_the_time_in_the_order_of_their_counters(bench: Bench) -> None:
    """Though the broker sends the last of them again with each connection; none is forgotten without a word."""
    bench.trust = "U"
    orders = [OPERATOR.order(counter=counter) for counter in (1, 2, 3)]
    for order in (*orders, *orders[2:] * 20):
        bench.executor.take(order)
        bench.executor.tick()

    bench.trust = "S"
    bench.executor.tick()

    assert bench.told() == [(counter, "diagnose", "done") for counter in (1, 2, 3)]


def test_a_flood_of_forgeries_leaves_one_record_a_minute(bench: Bench) -> None:
    """Counted, so that the centre knows of all of them; the spool stays for the measuring."""
    for number in range(100):
        bench.executor.take(STRANGER.order(counter=number))
    bench.now_s += 60
    bench.executor.take(STRANGER.order(counter=100))

    assert [(reply.counter, reply.command, reply.state, reply.data) for reply in bench.replies] == [
        (0, "", "refused", {"refusals": 1}),
        (0, "", "refused", {"refusals": 100}),
    ]


def test_a_refused_command_that_is_retained_is_told_once() -> None:
    """The broker sends it with every connection; a clock that is set back is no reason for silence."""
    refusals = Refusals()
    arrivals = ((b"a", 100), (b"a", 200), (b"b", 50), (b"c", 51))

    assert [refusals.count(payload, now_s) for payload, now_s in arrivals] == [1, 0, 1, 0]


def test_each_wrong_command_of_the_operator_is_told(bench: Bench) -> None:
    """Whoever signed it waits for an answer; no stranger can make these many."""
    for counter in (1, 2, 3):
        bench.executor.take(OPERATOR.order("reboot", counter))

    assert bench.told() == [(counter, "reboot", "refused") for counter in (1, 2, 3)]
    assert Book.read(bench.spool.slots[SLOT]).counter == 3


def test_only_so_many_commands_are_under_way(bench: Bench) -> None:
    """The next one is refused, and not forgotten in silence."""
    bench.outcome = None
    for counter in range(1, 10):
        bench.executor.take(OPERATOR.order(counter=counter))

    assert bench.told() == [(9, "diagnose", "refused")]


def test_without_a_disk_only_what_changes_nothing_is_done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter could not be kept; and a diagnosis is what such a gateway needs."""
    monkeypatch.setattr(Spool, "storage", "memory")

    bench.executor.take(OPERATOR.order("rotate", 1))
    bench.executor.take(OPERATOR.order("diagnose", 2))

    assert bench.told() == [(1, "rotate", "refused"), (2, "diagnose", "done")]


def test_a_disk_that_fails_under_the_counter_keeps_the_command_from_being_executed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restart the broker would have it executed again."""
    storages = iter(["disk", "memory"])
    monkeypatch.setattr(Spool, "storage", property(lambda _spool: next(storages)))

    bench.executor.take(OPERATOR.order("rotate", 1))

    assert (bench.begun, bench.told()) == ([], [(1, "rotate", "failed")])
