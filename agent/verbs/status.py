"""Show how a running gateway gets on with its centre, its buses and its meters, and what to do where it does not.

    flatwatt status -c gateway.toml

Nothing is asked of the meters: the agent is asked to write its counts into the configuration's
state_dir, and this reads them. docs/operations.md says what each number means. Exit code 1 where
the agent does not answer; then the last counts that it wrote are shown.
"""

import argparse
import contextlib
import time
from pathlib import Path
from typing import Any

HELP = "how a running gateway delivers, how its meters answer, and what to do"

_ANSWER_S = 5.0  # the agent looks once a second; closing a window may keep it from that
_LOOK_S = 0.05
_CLOCKS = {
    "S": "synchronised",
    "I": "informative: set, and nobody vouches for it",
    "U": "unknown: not set since the boot",
    "R": "relative: only differences are right",
    "simulated": "simulated",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.add_argument("-c", "--config", type=Path, default=Path("gateway.toml"), help="the gateway's configuration")
    parser.add_argument("--json", action="store_true", help="write one JSON object")


def run(args: argparse.Namespace) -> int:
    """Read the counts and write them."""
    from agent.acquire.poll.status_file import STATUS_FILE, read_status
    from agent.commission.advice import advice
    from agent.config import load_gateway
    from agent.deliver.link.advice import delivery_advice
    from agent.errors import FlatwattError
    from agent.terminal import say_json

    config = load_gateway(args.config)
    path = config.state_dir / STATUS_FILE
    answered = _ask(path)
    status = read_status(path)
    age_s = max(0.0, time.time() - path.stat().st_mtime)
    steps = delivery_advice(status["delivery"]) + advice(status, status["delivery"]["period_s"])
    if args.json:
        say_json({"gateway": config.id, "age_s": round(age_s, 1), **status, "advice": steps})
    else:
        _write(config.id, age_s, status, steps)
    if not answered:
        raise FlatwattError(f"{path} is {age_s:.0f} s old, and the agent does not answer: is `flatwatt run` running?")
    return 0


def _ask(path: Path) -> bool:
    """Have the agent write its counts; tell whether it did."""
    from agent.acquire.poll.status_file import ask_for_status, stop_asking

    before_ns = _written_ns(path)
    give_up_s = time.monotonic() + _ANSWER_S
    with contextlib.suppress(OSError):  # where nothing can be written, the agent cannot be asked
        ask_for_status(path)
        while time.monotonic() < give_up_s:
            if _written_ns(path) != before_ns:
                return True
            time.sleep(_LOOK_S)
        stop_asking(path)
    return False


def _written_ns(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _write(gateway: str, age_s: float, status: dict[str, Any], steps: list[str]) -> None:
    from agent.terminal import say, table

    say(f"{gateway}, as of {age_s:.0f} s ago")
    say()
    table(("delivery", ""), _delivery(status["delivery"]))
    say()
    counts: dict[str, int] = {}
    for meter in status["meters"].values():
        counts[meter["bus"]] = counts.get(meter["bus"], 0) + 1
    table(
        ("bus", "meters", "in use", "period p95 s", "skipped ticks"),
        [
            (name, counts.get(name, 0), _share(bus["utilisation"]), _number(bus["period_p95_s"]), bus["overruns"])
            for name, bus in status["buses"].items()
        ],
    )
    say()
    table(
        ("meter", "bus", "unit", "state", "polls", "p50 ms", "p99 ms", "trouble"),
        [_row(name, meter, status["time_s"]) for name, meter in status["meters"].items()],
    )
    for title, lines in (("learned", _learned(status)), ("what to do", steps)):
        if lines:
            say()
            say(f"{title}:")
            for line in lines:
                say(f"  {line}")


def _delivery(delivery: dict[str, Any]) -> list[tuple[str, str]]:
    """Say in words what the numbers of the delivery mean."""
    used, bound = delivery["spool_bytes"], delivery["spool_bound_bytes"]
    waits = f", the oldest for {_age(delivery['oldest_unreceipted_s'])}" if delivery["pending"] else ""
    return [
        ("broker", f"{delivery['broker']}, {_connection(delivery)}"),
        ("confirmed by", "receipts of the collector" if delivery["delivery"] == "collector" else "the broker alone"),
        ("without receipt", f"{delivery['pending']} records{waits}"),
        ("last receipt", _last_receipt(delivery)),
        ("sent", f"{delivery['sent']} records, {delivery['sent_again']} of them again"),
        ("spool", f"{used / 2**20:.1f} of {bound / 2**20:.0f} MiB, {used / bound:.0%}, in {_storage(delivery)}"),
        ("clock", _CLOCKS[delivery["clock"]]),
        ("interval", _interval(delivery)),
    ]


def _connection(delivery: dict[str, Any]) -> str:
    return f"{'connected' if delivery['connected'] else 'not connected'}, MQTT {delivery['protocol']}"


def _last_receipt(delivery: dict[str, Any]) -> str:
    if delivery["last_receipt_s"] is None:
        return "none since the start"
    lag_s = delivery["receipt_lag_s"]
    waited = "" if lag_s is None else f", for a record that waited for {_age(lag_s)}"
    return f"{_age(delivery['last_receipt_s'])} ago{waited}"


def _interval(delivery: dict[str, Any]) -> str:
    """Say how often is polled and told, and who said so.

    >>> _interval({"period_s": 1.0, "window_s": 300, "interval": "command"})
    'polls every 1 s, windows of 300 s, by command until a reload'
    """
    by_command = ", by command until a reload" if delivery["interval"] == "command" else ""
    return f"polls every {delivery['period_s']:g} s, windows of {delivery['window_s']} s{by_command}"


def _storage(delivery: dict[str, Any]) -> str:
    return "memory only" if delivery["storage"] == "memory" else f"stream {delivery['stream']}"


def _age(seconds: float) -> str:
    from agent.deliver.link.advice import age

    return age(seconds)


def _row(name: str, meter: dict[str, Any], time_s: float) -> tuple[object, ...]:
    times = (_milliseconds(meter[key]) for key in ("p50_s", "p99_s"))
    return (name, meter["bus"], meter["unit"], _state(meter, time_s), meter["polls"], *times, _trouble(meter))


def _trouble(meter: dict[str, Any]) -> str:
    """Say what there was of it, so that the table fits a window of 80 columns.

    >>> _trouble({"failures": {"timeout": 4}, "missed": 0, "late": 2, "out_of_range": 0})
    '4 timeout, 2 late'
    """
    others = {"missed": meter["missed"], "late": meter["late"], "impossible": meter["out_of_range"]}
    counts = meter["failures"] | others
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "-"


def _state(meter: dict[str, Any], time_s: float) -> str:
    if not meter["silent_polls"]:
        return "answers" if meter["polls"] else "not asked yet"
    if meter["silent_until_s"] is None or meter["silent_until_s"] <= time_s:
        return "silent"
    return f"silent, asked in {meter['silent_until_s'] - time_s:.0f} s"


def _learned(status: dict[str, Any]) -> list[str]:
    return [f"{name} {meter['learned']}" for name, meter in status["meters"].items() if meter["learned"]]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{1000 * value:.0f}"
