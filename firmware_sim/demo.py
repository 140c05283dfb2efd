"""Everything on one machine, in fast motion: simulated meters, broker, agent, collector and page.

Six weeks of a campus pass in about a minute. A mining farm hides behind the office building's
meter from the third week on. At the end stands what the collector found beside what was truly
so; the exit code is 0 where they agree.
"""

import argparse
import contextlib
import json
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware_sim.clock import FollowedClock
from firmware_sim.errors import SimError
from firmware_sim.verb import positive

if TYPE_CHECKING:
    from firmware_sim.scenario import Scenario

HELP = "everything on one machine in fast motion: meters, broker, agent, collector, page"

_WEEK_S = 7 * 86400
_PERIOD_S = 450.0  # two polls a window: six weeks are eight thousand polls of all meters
_SLOW_PERIOD_S = 3600.0
_STARTING_S = 30.0  # a child that takes longer on two busy cores will not come
_ENDING_S = 5.0
_REFRESH_S = 0.5
_PAGE_PORT = 8080

Json = dict[str, Any]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--scenario", metavar="FILE", default="demo", help="scenario file, or a shipped one's name")
    parser.add_argument("--weeks", metavar="N", type=positive, default=6.0, help="how long, from the scenario's start")
    parser.add_argument("--speed", metavar="N", type=positive, default=60_000.0, help="at most N times real time")
    parser.add_argument("--port", metavar="PORT", type=int, help="of the page (default: 8080, or any if taken)")
    parser.add_argument("--keep", action="store_true", help="leave the collector and its page running until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end, and nothing else")


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 where what was found agrees with what was so."""
    try:
        from firmware_sim import scenario as scenarios
        from firmware_sim.demo_view import closing  # noqa: F401 - tells early that rich is missing

        scenario = scenarios.read_scenario(scenarios.find(args.scenario), time.time())
    except ModuleNotFoundError as error:
        return _fail(f"flatwatt demo: needs {error.name}, which is not installed: pip install 'flatwatt[demo]'", 1)
    except SimError as error:
        return _fail(str(error), 2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="flatwatt-demo-") as folder, Crew(Path(folder)) as crew:
        try:
            return _play(args, scenario, crew)
        except SimError as error:
            return _fail(f"flatwatt demo: {error}", 1)


def _fail(text: str, code: int) -> int:
    print(text, file=sys.stderr)  # noqa: T201
    return code


@dataclass(slots=True)
class Child:
    """A process that the demo started, and where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    out: Path
    log: Path


class Crew:
    """The processes of the demo: started together, watched, and all ended at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: list[Child] = []

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            child.process.terminate()
        for child in self._children:
            try:
                child.process.wait(_ENDING_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()

    def start(self, name: str, *command: str) -> Child:
        """Start a process of its own group in the demo's folder, so that Ctrl-C reaches only us."""
        out, log = self.folder / f"{name}.out", self.folder / f"{name}.log"
        with out.open("wb") as stdout, log.open("wb") as stderr:
            process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, start_new_session=True
            )
        self._children.append(Child(name, process, out, log))
        return self._children[-1]

    def verb(self, *words: str) -> Child:
        """Start a verb of flatwatt."""
        return self.start(words[0], sys.executable, "-m", "agent.cli", *words)

    def check(self) -> None:
        """Raise SimError where a process has ended that should not have, with its last words."""
        for child in self._children:
            code = child.process.poll()
            if code is not None and not (code == 0 and child.name == "run"):
                raise SimError(f"{child.name} ended with code {code}:\n{_last_words(child)}")

    def wait_for(self, child: Child, ready: Callable[[], bool]) -> None:
        """Wait until a process is ready."""
        deadline_s = time.monotonic() + _STARTING_S
        while not ready():
            self.check()
            if time.monotonic() > deadline_s:
                raise SimError(f"{child.name} was not ready after {_STARTING_S:g} s:\n{_last_words(child)}")
            time.sleep(0.05)


def _last_words(child: Child) -> str:
    lines = child.log.read_text("utf-8", "replace").splitlines()[-8:]
    return "\n".join(f"  {line}" for line in lines) or "  (it said nothing)"


def _play(args: argparse.Namespace, scenario: "Scenario", crew: Crew) -> int:
    """Start everything in order, watch until the agent is done, and compare."""
    begun_s = time.monotonic()
    until_s = scenario.start_s + args.weeks * _WEEK_S
    broker = _start_broker(crew)
    clock_file = crew.folder / "clock"
    clock_file.write_bytes(struct.pack("<d", scenario.start_s))
    buses = _start_meters(crew, args.scenario, clock_file)
    page = f"http://127.0.0.1:{_page_port(args.port)}"
    _start_collector(crew, broker, page)
    _write_gateway(crew, scenario, buses, broker)
    until = datetime.fromtimestamp(until_s, UTC).isoformat()
    fast = ("--fast-motion", str(clock_file), "--speed", str(args.speed), "--until", until)
    agent = crew.verb("run", "-c", "gateway.toml", *fast)
    clock = FollowedClock(clock_file, scenario.start_s)
    _watch(args, crew, agent, page, lambda: (clock.now_s(), scenario.start_s, until_s))
    agrees = _compare(args, scenario, _fleet(page), until_s, time.monotonic() - begun_s)
    if args.keep:
        print(f"The page is at {page} until Ctrl-C", flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(_REFRESH_S)
                crew.check()
    return 0 if agrees else 1


def _start_broker(crew: Crew) -> str:
    """Start mosquitto where it is installed, else amqtt; give its URL."""
    port = _free_port()
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if mosquitto is None:
        child = crew.start("broker", sys.executable, "-m", "firmware_sim.demo_broker", str(port))
    else:
        config = crew.folder / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        child = crew.start("broker", mosquitto, "-c", str(config))
    crew.wait_for(child, lambda: _listens(port))
    return f"mqtt://127.0.0.1:{port}"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _page_port(wanted: int | None) -> int:
    if wanted:
        return wanted
    return _free_port() if wanted == 0 or _listens(_PAGE_PORT) else _PAGE_PORT


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


def _start_meters(crew: Crew, scenario: str, clock_file: Path) -> dict[str, str]:
    """Start the simulator; give the addresses of its buses."""
    from firmware_sim.scenario import find

    child = crew.verb("sim", str(find(scenario).resolve()), "--clock", str(clock_file), "--json")
    crew.wait_for(child, lambda: child.out.read_bytes().endswith(b"\n"))
    return {bus["name"]: bus["url"] for bus in json.loads(child.out.read_text())["buses"]}


def _start_collector(crew: Crew, broker: str, page: str) -> None:
    address = page.removeprefix("http://")
    child = crew.verb("collect", "--mqtt", broker, "--db", "collector.db", "--http", address)
    crew.wait_for(child, lambda: bool(_fleet(page)))


def _fleet(page: str) -> Json:
    """Ask the collector for the fleet; empty where it does not answer."""
    try:
        with urllib.request.urlopen(f"{page}/api/fleet", timeout=10) as answer:  # noqa: S310 - our own http address
            fleet: Json = json.load(answer)
            return fleet
    except (OSError, urllib.error.URLError, ValueError):
        return {}


def _write_gateway(crew: Crew, scenario: "Scenario", buses: dict[str, str], broker: str) -> None:
    from firmware_sim.gateway import GatewayOptions, gateway_toml

    options = GatewayOptions(mqtt_url=broker, period_s=_PERIOD_S, slow_period_s=_SLOW_PERIOD_S)
    (crew.folder / "gateway.toml").write_text(gateway_toml(scenario, buses, options))


def _watch(
    args: argparse.Namespace, crew: Crew, agent: Child, page: str, times: Callable[[], tuple[float, float, float]]
) -> None:
    """Show the fleet until the agent is done."""
    from firmware_sim.demo_view import live, plain

    seen: set[str] = set()
    shown = 0.0
    with _screen(args) as update:
        while agent.process.poll() is None:
            time.sleep(_REFRESH_S)
            crew.check()
            now_s, start_s, until_s = times()
            done = min(1.0, (now_s - start_s) / (until_s - start_s))
            if update is not None:
                update(live(_fleet(page), now_s, done, page))
            elif not args.json and done >= shown + 0.1:
                shown = done
                print(*plain(_fleet(page), now_s, done, seen), sep="\n", flush=True)  # noqa: T201
        crew.check()


@contextlib.contextmanager
def _screen(args: argparse.Namespace) -> Iterator[Callable[[Any], None] | None]:
    """Give a function that redraws the terminal; None without a terminal."""
    from rich.live import Live

    if args.json or not sys.stdout.isatty():
        yield None
        return
    with Live(auto_refresh=False) as screen:
        yield lambda drawn: screen.update(drawn, refresh=True)


def _compare(args: argparse.Namespace, scenario: "Scenario", fleet: Json, until_s: float, took_s: float) -> bool:
    """Print what was found beside what was so; tell whether they agree."""
    from rich.console import Console

    from firmware_sim.demo_compare import compare
    from firmware_sim.demo_view import closing

    rows = compare(scenario, fleet, until_s)
    agrees = all(row["agrees"] for row in rows)
    if args.json:
        print(json.dumps({"agrees": agrees, "took_s": round(took_s, 1), "rows": rows}), flush=True)  # noqa: T201
        return agrees
    console = Console()
    with console.capture() as drawn:
        console.print(closing(rows))
    print(*(line.rstrip() for line in drawn.get().splitlines()), sep="\n")  # noqa: T201
    verdict = "Found and true agree" if agrees else "Found and true DISAGREE"
    print(f"{verdict}: {args.weeks:g} weeks passed in {took_s:.0f} s.", flush=True)  # noqa: T201
    return agrees
