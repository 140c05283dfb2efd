"""Answers that come after the time-out, ten thousand of them: none is ever taken for another's.

``FLATWATT_LATE=1000000`` makes it longer. The decision is ``docs/decisions/0010``.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from agent.acquire.bus.bus import Bus, open_bus
from agent.errors import BusError, BusReason
from tests.agent.acquire.bus.hostile import Asked, pty_meter, read_request, request, words
from tests.agent.acquire.bus.virtual_time import run_virtually

LATE = int(os.environ.get("FLATWATT_LATE", "10000"))
LATE_A_BUS = 10  # a new bus has not learnt yet that these meters are slow, and waits less
_MOST_READS = 100  # for each late answer
UNITS = (1, 2, 3, 4)

CEILING_S = 1.0
LATEST_ON_RTU_S = 1.29  # the shortest time-out there, 0.3 s, and the ceiling after it


def delay_s(random: Random, ceiling_s: float, latest_s: float) -> float:
    """Draw how long a meter takes: no time to speak of, any time, or longer than anybody waits."""
    prompt_s = 0.05 * ceiling_s
    return random.uniform(*random.choice(((0.0, prompt_s), (0.0, latest_s), (ceiling_s, latest_s))))


async def read_until_late(bus: Bus, random: Random, late: int) -> Counter[str]:
    """Read mixed units, blocks of one length all, until so many answers have come or will come late."""
    seen: Counter[str] = Counter()
    for _ in range(_MOST_READS * late):
        if seen["late"] == late:
            break
        asked = request(random.randrange(1000), 4, unit=random.choice(UNITS))
        try:
            got = await bus.read(asked)
        except BusError as error:
            seen["late" if error.reason is BusReason.TIMEOUT else error.reason.value] += 1
        else:
            seen["right" if got == words(asked) else "wrong"] += 1
    return seen


@pytest.mark.parametrize(
    ("kind", "share", "transaction"), [("rtu+tcp", 0.7, None), ("tcp", 0.2, None), ("tcp", 0.1, 0)]
)
def test_late_answers_are_never_taken_for_others(kind: str, share: float, transaction: int | None) -> None:
    """Hazards 1 and 2: of mixed units and equal lengths, answers around the time-out give no wrong value.

    On TCP they carry their own transaction id, or 0.
    """
    seed = time.time_ns() % 2**32
    random = Random(seed)
    seen: Counter[str] = Counter()

    def serve(data: bytes, send: Callable[[bytes], bool], hang_up: Callable[[], None]) -> None:
        asked = read_request(data, kind == "rtu+tcp", send, hang_up)
        takes_s = delay_s(random, CEILING_S, LATEST_ON_RTU_S if kind == "rtu+tcp" else 5.0)
        late = transaction if takes_s > CEILING_S else None
        asyncio.get_running_loop().call_later(takes_s, lambda: asked.send_frame(asked.pdu(), transaction=late))

    async def read() -> None:
        for _ in range(round(share * LATE / LATE_A_BUS)):
            bus = open_bus(f"{kind}://meters:502", CEILING_S)
            seen.update(await read_until_late(bus, random, LATE_A_BUS))
            await bus.close()

    passed_s = run_virtually(read(), serve)

    print(f"{kind}: seed {seed}, {dict(seen)}, {passed_s:.0f} s of virtual time")
    assert seen["wrong"] == 0
    assert seen["late"] >= 0.99 * share * LATE
    assert seen["right"] > seen["late"] / 2


async def test_late_answers_at_a_serial_port() -> None:
    """The same on a pseudo-terminal, in real time."""
    seed = time.time_ns() % 2**32
    random = Random(seed)

    async def tardy(asked: Asked) -> None:
        await asyncio.sleep(delay_s(random, 0.02, 0.03))
        asked.answer()

    async with pty_meter() as meter:
        meter.always = tardy
        bus = open_bus(meter.url, 0.02)
        seen = await read_until_late(bus, random, 20)
        await bus.close()

    print(f"seed {seed}, {dict(seen)}")
    assert seen["wrong"] == 0
    assert seen["late"] == 20
    assert seen["right"] > 2
