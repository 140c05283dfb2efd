"""Every type that crosses from one stage to the next, in the order in which a number meets them.

    profile -> poll plan -> bus -> sample -> window -> features -> judgement -> summary, alarm -> envelope -> receipt

All are frozen. Times are UTC seconds since 1970 (``_s``); what was not measured is NaN, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


Trust = Literal["U", "I", "S", "R"]  # in a time: unknown, informative, synchronised, relative


class Tier(StrEnum):
    """How often a register is read."""

    FAST = "fast"  # every poll: what the judgement lives on
    SLOW = "slow"  # about once a minute: energy counters, distortion, demand
    IDENTITY = "identity"  # at start and hourly: serial number, model, transformer ratios, scale factors


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One entry of a meter's register map.

    ``name`` is a quantity of the vocabulary, or, where ``parameter`` is true, a name of the
    profile's own that other registers refer to and that is never reported (a SunSpec scale
    factor, the energy of a second tariff). The value in SI units is ``raw * scale *
    product(values named in multiply_by) * 10 ** (value named in exponent_from)``, with the values
    named in ``plus`` added and those named in ``minus`` taken off; NaN in any part makes NaN.
    """

    name: str
    function: int  # 3 holding, 4 input
    address: int  # zero-based, as on the wire
    dtype: str  # u16 i16 u32 i32 u64 i64 f32 f64
    order: str  # byte order by picture: AB, BA, ABCD, CDAB, BADC, DCBA, ABCDEFGH, GHEFCDAB, BADCFEHG, HGFEDCBA
    scale: float
    tier: Tier
    parameter: bool
    absent: tuple[int, ...]  # raw bit patterns (unsigned, after reordering) that mean "not available"
    multiply_by: tuple[str, ...]
    exponent_from: str  # "" where there is none
    plus: tuple[str, ...]  # read in the same poll: a sum of old and new values would be no measurement
    minus: tuple[str, ...]
    verified: str  # "2 sources", "1 source"

    @property
    def count(self) -> int:
        """Length in 16-bit registers."""
        return int(self.dtype[1:]) // 16


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterProfile:
    """The register map of one model, with the limits that its requests must respect."""

    name: str  # file stem: <maker>_<model>
    maker: str
    model: str
    phases: int
    sources: tuple[str, ...]
    registers: tuple[Register, ...]
    max_registers: int  # of one request
    max_gap: int | None  # unlisted registers that a request may read across; None where no source says
    forbidden: tuple[tuple[int, int], ...]  # closed ranges of addresses that no request may touch
    even_blocks: bool  # start and count must be even
    single: tuple[str, ...]  # names that must be read by a request of their own
    min_gap_ms: float  # silence between a reply and the next request
    min_timeout_ms: float  # a reply may take this long
    baud: int  # default of the meter, 0 where it is unknown or has no serial port
    parity: str  # N, E, O; "" where it is unknown
    stopbits: int  # 0 where it is unknown
    identity: Mapping[str, tuple[float, ...]]  # quantity -> values that identify the model
    sunspec: tuple[int, ...]  # models it reads, with addresses that count from the model's first register; else ()
    left_out: tuple[str, ...]  # what the meter has and this profile does not read, each with the reason
    digest: str  # SHA-256 of the file, first 16 hex digits

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names that a sample of this meter carries, in the order of the file."""
        return tuple(register.name for register in self.registers if not register.parameter)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """One Modbus read: function 3 or 4, ``count`` registers from ``address`` of one unit."""

    unit: int
    function: int
    address: int
    count: int
    registers: tuple[Register, ...]  # those it covers
    wire_s: float  # time on the wire, request and reply with silences, by the bus's speed
    min_gap_s: float  # silence that the meter wants before it
    min_timeout_s: float  # floor of the time-out, by the profile

    def __hash__(self) -> int:
        """Hash what goes on the wire only: every poll looks its requests up, and their registers are long."""
        return hash((self.unit, self.function, self.address, self.count))


@dataclass(frozen=True, slots=True)
class Sample:
    """One poll of one meter.

    ``time_s`` is the tick that asked, the same for all meters. ``status`` tells of the active
    power: ``"ok"``, ``"range"`` where it was read and lies outside its plausible range, a bus
    reason, or ``"backoff"`` where a silent meter was not asked. ``values`` holds what was asked
    for; a quantity without a usable answer is NaN.
    """

    meter: str
    time_s: float
    status: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """What the clocks said at one moment.

    ``boot_s`` runs through suspends and is never set: ``utc_s - boot_s`` changes within one boot only
    where somebody sets the clock, or slews it.
    """

    utc_s: float
    boot_s: float  # since boot ``boot_id``
    boot_id: str
    trust: Trust  # by what the system knows
    error_s: float  # at most, by its own reckoning, where it is synchronised

    @property
    def offset_s(self) -> float:
        """UTC at boot time 0, as the clock is set now."""
        return self.utc_s - self.boot_s


class Quality(StrEnum):
    """How far a meter's window can be trusted; every letter but G keeps the window from the judgement.

    ``docs/metering-quality.md`` says what sets each letter, and what the event says that goes with it.
    """

    GOOD = "G"
    PARTIAL = "P"  # measuring began or ended within the window: too little of it
    TIMEOUT = "T"  # too few answers
    FAULTY = "F"  # answers without a usable active power (exceptions, NaN, sentinels)
    RANGE = "O"  # out of the quantity's plausible range, or beyond what the feeder can carry
    STUCK = "K"  # the raw values repeat bit for bit: a frozen register or a gateway's cache
    EXCHANGED = "X"  # within the window, the meter or its settings became another
    RESET = "R"  # within the window, its energy counter was reset or set
    ARITHMETIC = "A"  # the meter's own quantities contradict each other
    ENERGY = "E"  # the energy registers and the power contradict each other
    WIRING = "W"  # a phase counts backwards, with another's voltage, or without one


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """All meters over one UTC-aligned, half-open interval ``[start_s, start_s + window_s)``.

    ``values[quantity]`` is a read-only float64 array of shape (meters, ticks); a tick without a
    value is NaN. ``identity[quantity]`` (meters,) is what was read last of serial number, model
    and transformer ratios in it, NaN where nothing was. ``coverage`` (meters,) is the share of
    ticks with a usable active power.
    """

    start_s: int
    window_s: int
    period_s: float
    meters: tuple[str, ...]
    values: Mapping[str, Floats]
    identity: Mapping[str, Floats]
    coverage: Floats
    quality: tuple[Quality, ...]

    @property
    def end_s(self) -> int:
        """The first second after the window."""
        return self.start_s + self.window_s


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened to the measuring of one meter, told once: a check that found something, or that it is over."""

    meter: str
    event: str  # quality, tamper, exchange, configuration
    text: str  # for the electrician: what was seen, where, what it likely is, what to do
    data: Mapping[str, float | str]


class Verdict(StrEnum):
    """What a meter's load is taken for."""

    NORMAL = "normal"
    FLAT = "flat"  # steady, not attributable
    SUSPECT = "suspect"
    MINING = "mining"
    INCONCLUSIVE = "inconclusive"  # too little history or contradicting evidence
    FAULT = "fault"  # the data cannot be trusted
    DECLARED = "declared"  # a load that the site registered, within what it declared


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason: what was seen (``value``), how it moves the log-odds (``weight``), and a text for people."""

    evidence: str
    value: float
    weight: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is held of one meter at one time, with nothing later used.

    ``score`` runs from 0 to 1, higher is more like mining. ``mining_w`` are the 10th, 50th and
    90th percentile of the mining power; all zero where none is seen. ``since_s`` is the start
    of the mining load where one is seen, else None.
    """

    meter: str
    verdict: Verdict
    score: float
    mining_w: tuple[float, float, float]
    since_s: int | None
    reasons: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One record as it is stored and sent: ``payload`` are the exact bytes that the chain covers."""

    stream: str
    seq: int
    kind: str  # summary, alarm, event, checkpoint
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The collector has committed ``1..through`` of a stream, but for the ``missing`` ranges above it.

    ``missing`` are closed ranges of seq, all above ``through``, that the collector lacks although
    it has a later record.
    """

    gateway: str
    stream: str
    through: int
    missing: tuple[tuple[int, int], ...]
    head: str  # chain head after ``through``, hex
    time_s: int
