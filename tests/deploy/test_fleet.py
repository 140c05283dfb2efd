"""The whole fleet by certificates: authority, shipped broker settings, collector and agent, as processes."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.cli import main
from agent.deliver.identity.identity import read_identity
from tests.broker import Broker
from tests.collector.ca.centre import Enrolment, enrolment
from tests.collector.program import Collector, collector
from tests.deploy.test_mosquitto import READER, certificate, client, shipped_broker
from tests.facility import Part

LIFE_S = 4.0  # of a certificate in this file
CONFIG = """
id = "{gateway}"
state_dir = "state"
[site]
name = "Nowhere"
kind = "office"
[mqtt]
url = "mqtts://127.0.0.1:{port}"
[poll]
window_s = 3600
[[bus]]
name = "tcp"
url = "tcp://127.0.0.1:9"
[[meter]]
id = "main"
bus = "tcp"
unit = 1
profile = "eastron_sdm630"
"""


@dataclass(frozen=True)
class Fleet:
    """A centre at work."""

    folder: Path
    service: Enrolment
    broker: Broker
    centre: Collector

    def rows(self, query: str, *values: str) -> set[str]:
        """Give the first column of what the collector stored."""
        with closing(sqlite3.connect(self.centre.database)) as db:
            return {row[0] for row in db.execute(query, values)}


class Gateway:
    """A gateway that may enrol there."""

    def __init__(self, fleet: Fleet, folder: Path, name: str) -> None:
        self.fleet = fleet
        self.folder = folder
        self.name = name
        self.config = folder / "gateway.toml"
        self.config.write_text(CONFIG.format(gateway=name, port=fleet.broker.port))

    def enrol(self) -> None:
        """Take a token there."""
        token = self.fleet.service.authority.token(self.name, 1.0, replace=True)
        assert main(["enrol", self.fleet.service.url, token, "-c", str(self.config)]) == 0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the agent."""
        part = Part(self.folder, "run", "-c", str(self.config))
        part.start()
        try:
            yield
        finally:
            part.kill()

    def receipted(self) -> int:
        """Give how many records the retained receipt covers, as the broker gives it to a reader."""
        words = ("-t", f"flatwatt/v1/{self.name}/down/receipt", "-C", "1", "-W", "2")
        heard = client(self.fleet.broker, "mosquitto_sub", *certificate(self.fleet.folder, READER), *words).stdout
        return int(json.loads(heard)["through"]) if heard else 0

    def told(self) -> set[str]:
        """Give the events that the collector stored."""
        return self.fleet.rows("SELECT event FROM event WHERE gateway = ?", self.name)

    def keys(self) -> set[str]:
        """Give the keys that the collector knows as its own."""
        return self.fleet.rows("SELECT public_key FROM gateway_key WHERE gateway = ?", self.name)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Authority, broker and collector."""
    folder = tmp_path_factory.mktemp("centre")
    with ExitStack() as stack:
        service = stack.enter_context(enrolment(folder, LIFE_S / 86_400))
        for name in ("centre.broker", "centre.collector", READER):
            hosts = ["--host", "127.0.0.1"] if name == "centre.broker" else []
            assert main(["ca", "issue", str(folder), name, "--out", str(folder), *hosts]) == 0
        broker = stack.enter_context(shipped_broker(folder, "a fleet"))
        options = (
            "--ca-file", f"{folder}/ca.pem", "--cert-file", f"{folder}/centre.collector.pem",
            "--tls-key-file", f"{folder}/centre.collector.key", "--enrolled", f"{folder}/enrolled",
        )  # fmt: skip
        centre = stack.enter_context(collector(folder, f"mqtts://127.0.0.1:{broker.port}", *options))
        centre.hears()
        yield Fleet(folder, service, broker, centre)


def until(done: Callable[[], bool]) -> bool:
    """Wait until something has happened; say whether it did."""
    deadline = time.monotonic() + 120  # a busy machine; what works takes a thirtieth of it
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_a_gateway_reports_and_comes_back_after_its_certificate_expired(fleet: Fleet, tmp_path: Path) -> None:
    """Enrolled, it is receipted over TLS on both sides; off until long after the end, it renews and goes on."""
    gateway = Gateway(fleet, tmp_path, "campus-01")
    gateway.enrol()
    with gateway.running():
        assert until(lambda: gateway.receipted() >= 1)
    identity, before = read_identity(tmp_path / "state/identity"), gateway.receipted()
    assert identity is not None
    time.sleep(max(0.0, identity.not_after_s + 0.5 - time.time()))

    with gateway.running():
        assert until(lambda: "certificate_renewed" in gateway.told() and gateway.receipted() > before)


def test_a_gateway_that_is_replaced_is_pinned_anew_without_a_word_of_sql(fleet: Fleet, tmp_path: Path) -> None:
    """Another device, another key, the same name: the token says so, and the collector follows."""
    gateway = Gateway(fleet, tmp_path, "campus-02")
    gateway.enrol()
    with gateway.running():
        assert until(lambda: len(gateway.keys()) == 1)
    (tmp_path / "state").rename(tmp_path / "old")

    gateway.enrol()
    with gateway.running():
        assert until(lambda: len(gateway.keys()) == 2)
