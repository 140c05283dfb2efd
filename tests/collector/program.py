"""`flatwatt collect` as a process, and a gateway's plain MQTT connection to its broker."""

import json
import queue
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from agent.deliver import wire
from tests.collector.gateway import Sent

T = TypeVar("T")

PATIENCE_S = 15.0  # a busy machine; what works takes a tenth of it


def until(look: Callable[[], T], wanted: Callable[[T], bool]) -> T:
    """Look again and again until what is seen is wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while not wanted(seen := look()):
        assert time.monotonic() < deadline, f"still {seen!r}"
        time.sleep(0.03)
    return seen


class Collector:
    """A collector process with its page on a free port."""

    def __init__(self, folder: Path, mqtt_url: str, *options: str) -> None:
        self.database = folder / "collector.db"
        self.log = folder / "collector.log"
        self._command = [
            sys.executable, "-m", "agent.cli", "collect", "--mqtt", mqtt_url, "--db", str(self.database),
            "--http", "127.0.0.1:0", *options,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self.page = ""

    def start(self) -> None:
        """Start it and wait for the page's address."""
        self.log.write_text("")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        address = until(lambda: re.search(r"page: (http://[^ ]+/)", self.log.read_text()), bool)
        assert address
        self.page = address[1]

    @property
    def pid(self) -> int:
        """The process id; it must be running."""
        assert self._process
        return self._process.pid

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the page."""
        parts = urlsplit(self.page)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def says(self, text: str, times: int = 1) -> str:
        """Wait until its log holds this text so many times; gives the log."""
        return until(self.log.read_text, lambda log: log.count(text) >= times)

    def hears(self, times: int = 1) -> None:
        """Wait until the broker keeps for it what is published: before, nobody resends what a test publishes."""
        self.says("subscribed", times)

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and give its exit code."""
        assert self._process
        self._process.send_signal(how)
        return self._process.wait(PATIENCE_S)

    def get(self, path: str) -> Any:
        """Ask its API."""
        with urllib.request.urlopen(self.page + path, timeout=5) as response:
            return json.load(response)


@contextmanager
def collector(folder: Path, mqtt_url: str, *options: str) -> Iterator[Collector]:
    """Run a collector."""
    process = Collector(folder, mqtt_url, *options)
    process.start()
    try:
        yield process
    finally:
        process.end(signal.SIGKILL)


class Line:
    """A gateway's connection: publishes, and gathers the receipts that come."""

    def __init__(self, port: int) -> None:
        self.receipts: queue.SimpleQueue[wire.ReceiptMessage] = queue.SimpleQueue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "gateway")
        self._client.on_message = self._received
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(f"{wire.ROOT}/+/down/receipt", 1)
        self._client.loop_start()

    def close(self) -> None:
        """End the connection."""
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, *messages: Sent, retain: bool = False) -> None:
        """Publish in order, and wait for the broker's acknowledgements."""
        for info in [self._client.publish(topic, payload, 1, retain) for topic, payload in messages]:
            info.wait_for_publish(PATIENCE_S)

    def receipt(self, through: int) -> wire.ReceiptMessage:
        """Wait for a receipt that covers ``1..through``."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            last = self.receipts.get(timeout=max(0.0, deadline - time.monotonic()))
            if last.through >= through:
                return last

    def _received(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        receipt = wire.decode(bytes(message.payload))
        assert isinstance(receipt, wire.ReceiptMessage)
        self.receipts.put(receipt)


@contextmanager
def line(port: int) -> Iterator[Line]:
    """Connect as a gateway would."""
    connection = Line(port)
    try:
        yield connection
    finally:
        connection.close()
