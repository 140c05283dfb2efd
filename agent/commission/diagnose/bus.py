"""What is wrong on the way to a meter: silence, noise, two meters with one unit id, a bus that is too slow."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from agent.acquire.bus.url import SerialAddress, TcpAddress
from agent.commission.diagnose.finding import DOWN, Finding, Severity, Values, shown
from agent.errors import BusDownError, BusError, BusReason

_NOISY = 0.02  # of the requests: a sound line loses fewer than one in a thousand
_SAID_OTHERWISE = (1, 2, 3, 10, 11)  # exceptions of a register that is not there, and of a gateway
_COLLIDING = 0.2  # of the requests damaged: more than noise does
_FULL = 0.8  # of the bus's time: beyond, retries and a dead meter delay the others
_SLOW_S = 0.5  # response: what the slowest meters' documents allow
USUAL_PERIODS_S = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0)  # they divide a minute, and so every window
_BAUDS = (9600, 19200, 38400, 57600, 115200)  # what meters offer
_JUMP = 0.1  # of the voltage from one reading to the next: no grid does that for long

_LINE_CHECKS = (
    "check that the meter has power, A and B (swap them: it harms nothing), the termination of 120 ohm at both ends, "
    "unit id, baud and parity in the meter's menu; `flatwatt scan {path}` tries the settings"
)
_STRANGE = (BusReason.GARBAGE, BusReason.WRONG_UNIT, BusReason.WRONG_TRANSACTION)  # something came, no answer of it
_OWN_WAY = {BusReason.WRONG_LENGTH, BusReason.WRONG_FUNCTION}  # one of the two, always: a way to answer of its own
_DAMAGE = (BusReason.GARBAGE, BusReason.WRONG_UNIT, BusReason.WRONG_LENGTH, BusReason.WRONG_FUNCTION)


def silence_finding(
    failures: Sequence[BusError], address: TcpAddress | SerialAddress, others_answer: bool | None
) -> Finding:
    """Tell why a meter said nothing at all; ``others_answer`` None where no other meter of its bus was asked."""
    error = failures[0]
    if isinstance(error, BusDownError):
        return _down(error, address)
    if error.code in (10, 11):
        return _gateway(error)
    if any(failure.reason in _STRANGE for failure in failures):
        return _garbage(error, address)
    if error.reason is BusReason.DISCONNECTED and isinstance(address, TcpAddress):
        return _hung_up(error)
    causes = {
        True: "this meter is off, has another unit id, or its own tap of the line is open; other meters here answer",
        False: "nothing on this bus answers: the cable, or the settings of the whole line",
        None: "the meter is off, it has another unit id, or the cable or the settings of the line are wrong",
    }
    serial = isinstance(address, SerialAddress)
    return Finding(
        severity=Severity.FAULT,
        code="silent",
        seen=str(error),
        cause=causes[others_answer],
        next_step=_line_checks(address) if serial else "check the unit id, and the meters behind a gateway",
    )


def _garbage(error: BusError, address: TcpAddress | SerialAddress) -> Finding:
    serial = isinstance(address, SerialAddress)
    line = "another baud rate or parity, two meters with this unit id, another master, or a bad line"
    network = "no Modbus TCP behind this port, a gateway that passes RTU frames on (rtu+tcp://), or a faulty device"
    return Finding(
        severity=Severity.FAULT,
        code="garbage",
        seen=str(error),
        cause=line if serial else network,
        next_step=_line_checks(address) if serial else "check port, scheme of the URL and unit id",
    )


def _hung_up(error: BusError) -> Finding:
    return Finding(
        severity=Severity.FAULT,
        code="silent",
        seen=str(error),
        cause="the host takes the connection and ends it: it serves too many already, or has no such unit id",
        next_step="stop other programs that ask it (some devices serve one at a time), check port and unit id",
    )


def _line_checks(address: TcpAddress | SerialAddress) -> str:
    return _LINE_CHECKS.format(path=_path(address))


def _path(address: TcpAddress | SerialAddress) -> str:
    return f"rtu://{address.path}" if isinstance(address, SerialAddress) else str(address)


def _down(error: BusError, address: TcpAddress | SerialAddress) -> Finding:
    what, _, step = str(error).partition("; ")
    cause = "the port cannot be opened" if isinstance(address, SerialAddress) else "the host cannot be reached"
    return Finding(
        severity=Severity.FAULT,
        code=DOWN,
        seen=f"{address}: {what}",
        cause=cause,
        next_step=step or "check the address",
    )


def _gateway(error: BusError) -> Finding:
    target = error.code == 11
    return Finding(
        severity=Severity.FAULT,
        code="gateway",
        seen=str(error),
        cause="the gateway is there, and the meter behind it does not answer it"
        if target
        else "the gateway is there and has no way to this unit id",
        next_step="check the meter's wiring and unit id, and baud and parity of the gateway's serial side"
        if target
        else "check the unit id, and the gateway's table of unit ids",
    )


def noise_findings(failures: Sequence[BusError], requests: int, readings: Sequence[Values]) -> Iterator[Finding]:
    """Tell damaged and missing answers of a meter that does answer, and whether two meters are at it."""
    damaged = sum(failure.reason in _DAMAGE for failure in failures)
    if sure := _two_serials(readings):
        yield _two_meters(sure, Severity.FAULT)
    elif len(failures) == requests and {error.reason for error in failures} < _OWN_WAY:
        yield _own_way(failures[-1], requests)
    elif damaged >= _COLLIDING * requests or _voltage_jumps(readings):
        yield _two_meters(f"{damaged} of {requests} answers damaged{_jump_words(readings)}", Severity.WARNING)
    else:
        reasons: Counter[BusReason] = Counter(error.reason for error in failures)
        del reasons[BusReason.EXCEPTION]
        if reasons.total() > max(1, _NOISY * requests):  # one may happen on any line
            yield _lost(reasons, requests)
    for code in (10, 11):
        if hits := [error for error in failures if error.code == code]:
            yield _gateway(hits[0])
    unready = [error for error in failures if error.code is not None and error.code not in _SAID_OTHERWISE]
    if len(unready) > max(1, _NOISY * requests):
        yield _not_ready(unready, requests)


def _own_way(error: BusError, requests: int) -> Finding:
    return Finding(
        severity=Severity.FAULT,
        code="garbage",
        seen=f"{requests} of {requests} requests: {error}",
        cause="every answer has the same mistake, which no disturbance makes: the device or the gateway before it",
        next_step="look for an update of its firmware; `flatwatt scan` tells whether another profile is read right",
    )


def _lost(reasons: Counter[BusReason], requests: int) -> Finding:
    words = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    hasty = reasons[BusReason.TIMEOUT] == reasons.total() >= _COLLIDING * requests
    return Finding(
        severity=Severity.WARNING,
        code="needs_silence" if hasty else "noise",
        seen=f"{reasons.total()} of {requests} requests without a usable answer ({words})",
        cause="the meter misses requests that follow its last answer too soon, or it is busy"
        if hasty
        else "a marginal line: termination, stubs, no common ground, a cable beside a drive; or a slow meter",
        next_step="copy the profile and set a longer min_gap_ms, such as 100 (docs/adding-a-meter.md)"
        if hasty
        else "terminate both ends with 120 ohm, connect the ground wire, or lower the baud rate",
    )


def _not_ready(errors: Sequence[BusError], requests: int) -> Finding:
    return Finding(
        severity=Severity.FAULT if len(errors) == requests else Severity.WARNING,
        code="not_ready",
        seen=f"{len(errors)} of {requests} requests: {errors[-1]}",
        cause="the meter is there and cannot serve: busy with another master, starting, or faulty",
        next_step="stop other programs that ask it, look at its display, take it off its supply for a minute",
    )


def _two_serials(readings: Sequence[Values]) -> str:
    serials = {values["serial_number"] for values in readings if not math.isnan(values.get("serial_number", math.nan))}
    return f"serial number {' and '.join(map(shown, sorted(serials)))} in turn" if len(serials) > 1 else ""


def _voltage_jumps(readings: Sequence[Values]) -> bool:
    """Tell whether voltage goes up and down between readings as between two places."""
    volts = [v for values in readings if (v := values.get("voltage_l1_v", math.nan)) > 0]
    steps = [abs(after - before) / before > _JUMP for before, after in pairwise(volts)]
    return sum(steps) > 1


def _jump_words(readings: Sequence[Values]) -> str:
    volts = (shown(values.get("voltage_l1_v", math.nan)) for values in readings)
    return f", voltage_l1_v {', '.join(volts)} V" if _voltage_jumps(readings) else ""


def _two_meters(seen: str, severity: Severity) -> Finding:
    return Finding(
        severity=severity,
        code="duplicate_unit",
        seen=seen,
        cause="two meters have the same unit id and answer together"
        + ("" if severity is Severity.FAULT else ", or the line is badly disturbed"),
        next_step="disconnect one of them and read again; give it a unit id of its own in its menu",
    )


def time_findings(p99_s: float, timeout_s: float) -> Iterator[Finding]:
    """Tell a meter that takes long to answer."""
    if p99_s > _SLOW_S:
        yield Finding(
            severity=Severity.WARNING,
            code="slow_meter",
            seen=f"99 of 100 answers come within {1000 * p99_s:.0f} ms",
            cause="a slow meter, or a gateway or radio between",
            next_step=f"set timeout_s of the bus above {shown(2 * p99_s)} (now {shown(timeout_s)}), "
            "and poll less often",
        )


def load_findings(
    address: TcpAddress | SerialAddress, poll_s: float, utilisation: float, period_s: float
) -> Iterator[Finding]:
    """Tell a bus that cannot carry its meters, with the period and the baud rate that would do."""
    if utilisation <= _FULL:
        return
    period = next((p for p in USUAL_PERIODS_S if p > period_s and utilisation * period_s / p <= _FULL), None)
    ways = [f"period_s = {period:g}"] if period else []
    if isinstance(address, SerialAddress):
        baud = next((b for b in _BAUDS if b > address.baud and utilisation * address.baud / b <= _FULL), None)
        ways += [f"baud={baud} (in every meter of the line too)"] if baud else []
    yield Finding(
        severity=Severity.FAULT if utilisation > 1 else Severity.WARNING,
        code="slow_bus",
        seen=f"one poll of all meters takes {poll_s:.2f} s of {period_s:g} s, the bus is busy {utilisation:.0%}",
        cause="too many meters or registers for this speed" if utilisation > 1 else "no room for repeated requests",
        next_step=f"{' or '.join([*ways, 'split the bus'])}; `flatwatt plan` shows what each request takes",
    )


def refusal_findings(unread: Sequence[str], total: int) -> Iterator[Finding]:
    """Tell registers that a meter which answers otherwise refuses."""
    if unread:
        many = len(unread) > total / 2
        yield Finding(
            severity=Severity.WARNING if many else Severity.NOTE,
            code="registers_missing",
            seen=f"{len(unread)} of {total} registers are refused: {', '.join(unread[:6])}"
            + (" …" if len(unread) > 6 else ""),
            cause="another model than the profile is for" if many else "this variant of the model does not have them",
            next_step="run `flatwatt scan` on this bus to find the model" if many else "nothing: they stay empty",
        )


def path_findings(path: str, stable: str | None) -> Iterator[Finding]:
    """Tell a serial port whose name may change; ``stable`` is its name that does not."""
    if stable and stable != path:
        yield Finding(
            severity=Severity.WARNING,
            code="serial_path",
            seen=f"{path} is named by the order in which adapters were found",
            cause="after a restart or with a second adapter it may be another",
            next_step=f"write rtu://{stable} instead",
        )
