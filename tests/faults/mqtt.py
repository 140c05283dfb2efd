"""Faults of the broker, of the collector, and of the receipts between them and the agent."""

import signal
import subprocess
import time
from collections.abc import Callable
from random import Random

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.deliver import chain, wire
from tests.faults.bed import Bed
from tests.faults.case import fault
from tests.faults.modbus import counts
from tests.faults.mqtt_stream import PublishFilter, acknowledgement
from tests.faults.proxy import Rewrite
from tests.faults.story import Story

COMMIT = "collector.ingest.intake:Intake.commit"
PUT = "collector.store.ledger:Ledger.put"


@fault("B1", "broker kill -9 under load, 100x")
def broker_killed(bed: Bed) -> str:
    """The broker is killed 100 times while three meters report, and forgets all: receipts catch up within 30 s."""
    bed.open(Story(hours=24, speed=4_000))
    bed.start_agent()
    for _ in range(100):
        time.sleep(bed.chance.uniform(0.02, 0.35))
        bed.broker.kill()
        bed.broker.start()
    killed_s = bed.now_s()
    caught_up_s = bed.wait_for(lambda: stored_until_s(bed) >= killed_s and bed.caught_up(), "the collector", 60)
    bed.finish()
    bed.check()
    assert caught_up_s <= 30, f"{caught_up_s:.0f} s"
    return f"100 kills in a day of {bed.story.meters} meters; caught up {caught_up_s:.1f} s after the last"


def stored_until_s(bed: Bed) -> int:
    """Give the time until which the collector knows everything, or would if it had no holes."""
    return bed.count("SELECT max(start_s) FROM summary") + bed.story.window_s


@fault("B2", "broker wiped (no persistence)")
def broker_wiped(bed: Bed) -> str:
    """The broker dies three times with 3 h that it took for a frozen collector, and forgets all: sent again, 0 lost."""
    bed.open(Story(hours=24, speed=20_000))
    bed.start_agent()
    for hour in (6, 12, 18):
        bed.wait_hours(hour - 3)
        bed.collector.signal(signal.SIGSTOP)
        bed.wait_hours(hour)
        bed.broker.kill()
        bed.broker.start()
        bed.collector.signal(signal.SIGCONT)
    bed.finish()
    bed.check()
    return "3 brokers, each with an empty memory; 0 lost, 0 doubled"


@fault("B3", "broker drops queue (1000) while collector is down 24 h")
def queue_dropped(bed: Bed) -> str:
    """The collector is away for 24 h behind a broker with the default queue of 1000: 0 lost after the drain."""
    bed.open(Story(meters=20, hours=30, speed=10_000, period_s=300), broker=("sys_interval 1",))
    bed.start_agent()
    bed.wait_hours(2)
    bed.collector.kill()
    bed.wait_hours(26)
    time.sleep(1.2)
    dropped = sys_count(bed, "$SYS/broker/publish/messages/dropped")
    bed.restart_collector()
    bed.finish(200)
    bed.check()
    assert dropped > 500, f"the broker dropped only {dropped}: nothing was tried"
    return f"the broker dropped {dropped} acknowledged messages; 0 lost"


def sys_count(bed: Bed, topic: str) -> int:
    """Ask the broker for one of its counts."""
    command = ["mosquitto_sub", "-p", str(bed.broker.port), "-t", topic, "-C", "1", "-W", "5"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    return int(answer.split()[0])


@fault("B4", "PUBACK success but no subscriber")
def no_subscriber(bed: Bed) -> str:
    """The collector never subscribed and the broker is wiped: records stay in the spool, the status tells the lag."""
    bed.open(Story(hours=24, speed=3_000))
    bed.collector.kill()
    bed.broker.kill()
    bed.broker.start()
    bed.start_agent()
    bed.wait_hours(8)
    status = counts(bed)["delivery"]
    assert status["receipted"] == 0, status
    assert status["last_seq"] > 3 * 28, status
    assert status["oldest_unreceipted_s"], status
    bed.restart_collector()
    bed.finish()
    bed.check()
    oldest_s = float(status["oldest_unreceipted_s"])
    return f"after 8 h: {status['last_seq']} records, 0 receipted, the oldest {oldest_s:.0f} s old; then all delivered"


@fault("B5", "collector killed between DB commit and receipt")
def killed_before_receipt(bed: Bed) -> str:
    """The collector dies right after its 2nd to 9th commit, 6 times: delivered again, 0 duplicate rows."""
    return killed_collector(bed, COMMIT, "after", most=8)


@fault("B6", "collector killed between receive and commit")
def killed_before_commit(bed: Bed) -> str:
    """The collector dies inside a transaction, before a record is put, 6 times: delivered again, 0 lost."""
    return killed_collector(bed, PUT, "before", most=60)


def killed_collector(bed: Bed, function: str, when: str, *, most: int) -> str:
    """Kill the collector at a call of a function, again and again."""
    bed.open(Story(hours=24, speed=8_000))
    bed.collector.kill()
    bed.start_agent()
    calls = [bed.chance.randint(2, most) for _ in range(6)]
    for call in calls:
        bed.restart_collector(kill=(function, when, call))
        bed.wait_for(lambda: not bed.collector.running(), "the collector to die", 40)
    bed.restart_collector()
    bed.finish()
    bed.check()
    return f"died at calls {calls} of {function.split('.')[-2].split(':')[-1]}.{function.split('.')[-1]}"


class Receipts:
    """Loses, repeats, delays and replaces receipts on their way to the agent."""

    def __init__(self, chance: Random) -> None:
        self.lost = self.repeated = self.swapped = 0
        self._chance = chance
        self._held: bytes | None = None

    def filter(self, answer: Callable[[bytes], None]) -> Rewrite:
        """Make the filter of one connection; ``answer`` writes to the broker."""
        self._held = None

        def judge(packet: bytes) -> list[bytes]:
            held, self._held = self._held, None
            if held is not None:
                self.swapped += 1
                return [packet, held]
            draw = self._chance.random()
            if draw < 0.25:
                self.lost += 1
                answer(acknowledgement(packet))  # the broker believes that it arrived
                return []
            if draw < 0.5:
                self.repeated += 1
                return [packet, packet]
            if draw < 0.75:
                self._held = packet
                return []
            return [packet]

        return PublishFilter("/down/receipt", judge)


@fault("B7", "receipt lost / duplicated / reordered / stale")
def receipts_mixed_up(bed: Bed) -> str:
    """A quarter of the receipts is lost, a quarter comes twice, a quarter late and out of order: 0 lost, 0 doubled."""
    bed.open(Story(hours=48, speed=3_000), through=("uplink",))  # a receipt a second at most
    receipts = Receipts(bed.chance)
    bed.uplink.down = receipts.filter
    bed.start_agent()
    bed.wait_hours(47)
    bed.uplink.down = None
    bed.uplink.drop()
    bed.finish()
    bed.check()
    assert min(receipts.lost, receipts.repeated, receipts.swapped) > 3, vars(receipts)
    return f"{receipts.lost} lost, {receipts.repeated} repeated, {receipts.swapped} out of order"


@fault("B8", "receipt forged (bad sig) or for future seq")
def receipt_forged(bed: Bed) -> str:
    """Receipts of another key, with a wrong head, and, with the right key, of records not written yet: told, 0 lost."""
    bed.open(Story(hours=24, speed=6_000))
    bed.start_agent()
    bed.wait_hours(6)
    bed.wait_for(bed.caught_up, "the collector to catch up", agent_runs=True)
    stream, through, head = bed.query("SELECT stream, through, head FROM stream")[0]
    own = serialization.load_pem_private_key(bed.database.with_suffix(".key").read_bytes(), None)
    assert isinstance(own, ec.EllipticCurvePrivateKey)
    bed.collector.kill()
    for key, seq, hashed in (
        (chain.new_key(), through + 4, head.hex()),
        (own, through + 2, "00" * 32),
        (own, through + 100_000, head.hex()),
    ):
        publish(bed, wire.topic("demo", "receipt"), receipt(key, stream, seq, hashed))
        time.sleep(0.3)
    bed.restart_collector()
    bed.finish()
    bed.check(findings=1)  # who signs a number that we never wrote knows a later spool of ours: we were put back
    told = bed.events("receipt_refused") + bed.events("spool_rolled_back")
    assert len(told) == 3, told
    return "; ".join(one["text"] for one in told)


def receipt(key: ec.EllipticCurvePrivateKey, stream: str, through: int, head: str) -> bytes:
    """Make a receipt, signed by whatever key."""
    time_s = int(time.time())
    text = chain.receipt_text("demo", stream, through, [], head, time_s)
    return wire.encode(
        wire.ReceiptMessage(
            v=1, kind="receipt", gateway="demo", stream=stream, through=through, missing=[], head=head,
            time_s=time_s, public_key=chain.public_text(key), sig=chain.sign(key, text),
        )
    )  # fmt: skip


def publish(bed: Bed, topic: str, payload: bytes, *options: str) -> None:
    """Publish as anybody may who reaches the broker."""
    command = ["mosquitto_pub", "-p", str(bed.broker.port), "-q", "1", "-t", topic, "-s", *options]
    subprocess.run(command, input=payload, timeout=10, check=True)
