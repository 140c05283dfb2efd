"""Real brokers for tests, each a process of its own on a free port of this machine.

::

    with mosquitto(tmp_path) as broker:
        ...  # broker.url
        broker.kill()  # as a crash does: kill -9
        broker.restart()  # the same port again
"""

import contextlib
import getpass
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

START_S = 10.0  # amqtt imports for two seconds on a busy machine


def free_port() -> int:
    """Give a TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A broker process; the port stays the same over restarts."""

    host = "127.0.0.1"

    def __init__(self, command: Sequence[str | Path], port: int, log: Path) -> None:
        self.port = port
        self.url = f"mqtt://{self.host}:{port}"
        self.log = log
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
                return
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the broker did not start; its log:\n{self.log.read_text()}")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal that does not end it."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a crash does: nothing is saved, no connection is closed politely."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Start it again on the same port, ended or not."""
        self.kill()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._process = None


@contextlib.contextmanager
def mosquitto(folder: Path, *settings: str, port: int | None = None) -> Iterator[Broker]:
    """Run a mosquitto (MQTT 5 and 3.1.1) that keeps nothing over a restart; ``settings`` are lines of its config."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise RuntimeError("these tests need a real broker: apt-get install mosquitto")
    port = port or free_port()
    config = folder / f"mosquitto-{port}.conf"
    access = () if any(line.startswith("allow_anonymous") for line in settings) else ("allow_anonymous true",)
    lines = (f"listener {port} 127.0.0.1", f"user {getpass.getuser()}", *access, *settings)
    config.write_text("\n".join(lines) + "\n")
    broker = Broker((program, "-c", config), port, config.with_suffix(".log"))
    with _running(broker):
        yield broker


@contextlib.contextmanager
def amqtt(folder: Path, *plugins: str, port: int | None = None) -> Iterator[Broker]:
    """Run an amqtt, which speaks MQTT 3.1.1 only; ``plugins`` are more entries of its config."""
    port = port or free_port()
    config = folder / f"amqtt-{port}.yaml"
    entries = ("amqtt.plugins.authentication.AnonymousAuthPlugin: {allow_anonymous: true}", *plugins)
    config.write_text(
        f"listeners: {{default: {{type: tcp, bind: '127.0.0.1:{port}'}}}}\nplugins: {{{', '.join(entries)}}}\n"
    )
    program = Path(sys.executable).with_name("amqtt")
    broker = Broker((program, "-c", config), port, config.with_suffix(".log"))
    with _running(broker):
        yield broker


@contextlib.contextmanager
def _running(broker: Broker) -> Iterator[None]:
    broker.start()
    try:
        yield
    finally:
        broker.stop()
