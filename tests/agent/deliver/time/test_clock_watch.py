"""Who vouches for the clock, what is told of it, and which records it puts right."""

from collections.abc import Sequence

from agent.deliver.time.clock_watch import ClockWatch, WatchState
from agent.deliver.wire import Event
from agent.records import ClockReading, Receipt, Trust

UTC_S = 1_769_040_000.0
PERIOD_S = 10.0
HOUR_S = 3600.0
WINDOW_S = 900.0


class Gateway:
    """A clock whose UTC is off by ``error_s``, and the watch that looks at it before each record."""

    def __init__(self, trust: Trust = "S", error_s: float = 0.0) -> None:
        self.watch = ClockWatch(WatchState(), PERIOD_S)
        self.trust, self.error_s = trust, error_s
        self.true_s, self.seq, self.boot_id = UTC_S, 0, "b1"
        self.told: list[Event] = []

    def reading(self) -> ClockReading:
        """Give what the clocks say."""
        return ClockReading(
            utc_s=self.true_s + self.error_s,
            boot_s=self.true_s - UTC_S + 30.0,
            boot_id=self.boot_id,
            trust=self.trust,
            error_s=0.02,
        )

    def look(self, after_s: float = PERIOD_S, records: int = 1) -> None:
        """Let time pass, look, and make some records."""
        self.true_s += after_s
        events = self.watch.take(self.reading(), "s1", self.seq + 1)
        self.told += events
        self.seq += len(events) + records

    def window(self, delay_s: float = 2.0) -> None:
        """Sign a checkpoint, and have the collector's receipt ``delay_s`` later, by its own clock, which is right."""
        self.seq += 1
        self.watch.signed(self.seq, int(self.true_s + self.error_s))
        self.true_s += delay_s
        self.watch.on_receipt(receipt(self.seq, int(self.true_s)), self.true_s + self.error_s)
        self.look(0.0)

    def heard(self) -> list[tuple[str, object]]:
        """Give what was told, with the number that says it."""
        keys = {"clock_step": "step_s", "clock_correction": "offset_s", "clock_doubt": "state", "clock_anchor": "utc_s"}
        return [(event.event, event.data[keys.get(event.event, "pause_s")]) for event in self.told]


def receipt(through: int, time_s: int) -> Receipt:
    """Give a believed receipt."""
    return Receipt(gateway="gw", stream="s1", through=through, missing=(), head="", time_s=time_s)


def ranges(events: Sequence[Event]) -> list[tuple[object, object]]:
    """Give the records that were corrected."""
    return [(e.data["from_seq"], e.data["through_seq"]) for e in events if e.event == "clock_correction"]


def test_a_clock_that_goes_right_is_not_spoken_of() -> None:
    """A synchronised gateway with a collector: no event in a day, and the letter S."""
    gateway = Gateway()

    for _ in range(96):
        gateway.look()
        gateway.window()

    assert (gateway.told, gateway.watch.trust) == ([], "S")


def test_what_was_recorded_before_the_first_synchronisation_is_corrected_by_reference() -> None:
    """Three hours in the past until the time server answers: an anchor, and one correction of all records before."""
    gateway = Gateway("U", -3 * HOUR_S)
    for _ in range(60):
        gateway.look()
    unsynchronised, letter = gateway.seq, gateway.watch.trust

    gateway.trust, gateway.error_s = "S", 0.0
    gateway.look()

    assert letter == "U"
    assert gateway.heard() == [
        ("clock_step", 3 * HOUR_S),
        ("clock_anchor", gateway.true_s),
        ("clock_correction", 3 * HOUR_S),
    ]
    assert ranges(gateway.told) == [(1, unsynchronised)]
    assert gateway.watch.trust == "S"


def test_a_server_that_confirms_later_than_it_sets_corrects_the_same() -> None:
    """Chrony steps the clock at once and vouches for it minutes later; what came between was right."""
    gateway = Gateway("U", -3 * HOUR_S)
    gateway.look(records=5)
    gateway.error_s = 0.0
    gateway.look(records=5)

    gateway.trust = "S"
    gateway.look()

    assert ranges(gateway.told) == [(1, 5)]


def test_every_setting_before_the_first_synchronisation_has_its_own_correction() -> None:
    """Somebody sets the clock by hand, wrongly, before the server answers."""
    gateway = Gateway("U", -3 * HOUR_S)
    gateway.look(records=5)
    gateway.error_s = 600.0
    gateway.look(records=5)
    gateway.error_s, gateway.trust = 0.0, "S"
    gateway.look()

    corrections = [e.data["offset_s"] for e in gateway.told if e.event == "clock_correction"]
    assert corrections == [3 * HOUR_S, -600.0]
    assert ranges(gateway.told) == [(1, 5), (6, 11)]


def test_a_clock_that_was_right_before_it_was_vouched_for_is_anchored_and_nothing_corrected() -> None:
    """A battery-backed clock needs no correction."""
    gateway = Gateway("I", 0.2)
    gateway.look()

    gateway.trust, gateway.error_s = "S", 0.0
    gateway.look()

    assert [event.event for event in gateway.told] == ["clock_anchor"]


def test_a_restart_of_the_agent_does_not_forget_which_records_wait_for_a_correction() -> None:
    """The same boot goes on: what the first process recorded is corrected by the second."""
    gateway = Gateway("U", -3 * HOUR_S)
    gateway.look(records=5)

    gateway.watch = ClockWatch(gateway.watch.state, PERIOD_S)
    gateway.look(600.0, records=5)
    gateway.trust, gateway.error_s = "S", 0.0
    gateway.look()

    assert ranges(gateway.told) == [(1, 10)]
    assert "pause" not in [event.event for event in gateway.told]


def test_another_boot_begins_anew() -> None:
    """What the clock was off by in an earlier boot is nothing that this boot's synchronisation could tell."""
    gateway = Gateway("U", -3 * HOUR_S)
    gateway.look(records=5)

    gateway.boot_id, gateway.error_s = "b2", -HOUR_S
    gateway.look(records=5)
    gateway.trust, gateway.error_s = "S", 0.0
    gateway.look()

    assert ranges(gateway.told) == [(6, 10)]


def test_a_clock_that_drifts_is_doubted_and_distrusted_before_a_minute() -> None:
    """200 ppm: told once at five seconds and once at fifty; no record is a minute off and says S."""
    gateway, distrusted_at_s = Gateway(), 0.0

    while gateway.error_s > -100.0:
        gateway.error_s -= WINDOW_S * 200e-6
        gateway.look(WINDOW_S - 2.0, records=0)
        gateway.window()
        if gateway.watch.trust == "I" and not distrusted_at_s:
            distrusted_at_s = gateway.error_s

    doubts = [(e.event, e.data["state"]) for e in gateway.told if e.event == "clock_doubt"]
    assert doubts == [("clock_doubt", "raised"), ("clock_doubt", "distrusted")]
    assert -60.0 < distrusted_at_s < -50.0


def test_a_drift_that_ends_is_said_and_corrects_nothing() -> None:
    """The error grew while nobody looked: one number for all its records would be wrong for most of them."""
    gateway = Gateway()
    gateway.look()
    gateway.window()
    for _ in range(400):  # slewed by less than a step at a time
        gateway.error_s += 0.25
        gateway.look()
    gateway.window()

    gateway.error_s = 0.0
    gateway.look()
    gateway.window()

    assert gateway.heard()[-3:] == [("clock_doubt", "distrusted"), ("clock_step", -100.0), ("clock_doubt", "cleared")]


def test_a_time_server_that_lies_is_found_out_and_its_records_are_corrected() -> None:
    """Six hours ahead and vouched for by the kernel: the collector's receipts say otherwise, until it is put right."""
    gateway = Gateway()
    gateway.look()
    gateway.window()
    gateway.error_s = 6 * HOUR_S
    gateway.look()
    first = gateway.seq - 1
    gateway.window()
    letter = gateway.watch.trust
    gateway.error_s = 0.0
    gateway.look()
    last = gateway.seq - 2
    gateway.window()

    assert letter == "I"
    assert gateway.heard() == [
        ("clock_step", 6 * HOUR_S),
        ("clock_doubt", "distrusted"),
        ("clock_step", -6 * HOUR_S),
        ("clock_correction", -6 * HOUR_S),
        ("clock_doubt", "cleared"),
    ]
    assert ranges(gateway.told) == [(first, last)]
    assert gateway.watch.trust == "S"


def test_a_receipt_that_comes_late_accuses_nobody() -> None:
    """After a week without a connection its time is a week old, and so is what it covers: it says nothing."""
    gateway = Gateway()
    gateway.look()
    gateway.seq += 1
    gateway.watch.signed(gateway.seq, int(gateway.true_s))
    stale = receipt(gateway.seq, int(gateway.true_s) + 1)
    gateway.look(7 * 24 * HOUR_S)

    gateway.watch.on_receipt(stale, gateway.true_s)
    gateway.look()

    assert [event.event for event in gateway.told] == ["pause"]


def test_the_collector_lifts_a_clock_that_nobody_set_to_informative() -> None:
    """No time server at all, but the receipts agree: the time was checked, if not set."""
    gateway = Gateway("U")
    gateway.look()
    before = gateway.watch.trust

    gateway.window()

    assert (before, gateway.watch.trust) == ("U", "I")


def test_a_clock_that_nobody_set_is_not_accused_of_being_wrong() -> None:
    """Booted three hours in the past, with receipts before the time server answers: the letter says enough."""
    gateway = Gateway("U", -3 * HOUR_S)
    gateway.look()
    gateway.window()

    gateway.trust, gateway.error_s = "S", 0.0
    gateway.look()
    gateway.window()

    assert [event.event for event in gateway.told] == ["clock_step", "clock_anchor", "clock_correction"]


def test_a_clock_whose_time_server_fell_silent_is_informative() -> None:
    """It was set in this boot; also a restart of the agent knows."""
    gateway = Gateway()
    gateway.look()
    gateway.trust = "U"
    gateway.look()

    gateway.watch = ClockWatch(gateway.watch.state, PERIOD_S)
    gateway.look()

    assert gateway.watch.trust == "I"


def test_a_machine_that_slept_says_for_how_long() -> None:
    """Boot time runs through a suspend: no step, and nothing was measured."""
    gateway = Gateway()
    gateway.look()

    gateway.look(30 * 60.0)

    assert gateway.heard() == [("pause", 30 * 60.0)]
