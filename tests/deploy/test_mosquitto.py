"""The shipped broker configuration and access rules: a real mosquitto, certificates of the shipped authority."""

import contextlib
import getpass
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli import main
from tests.broker import Broker, free_port
from tests.deploy.authority import Authority

DEPLOY = Path(__file__).parents[2] / "deploy"
_PARTS = re.split(r"^# ---- (.+?) -+$", (DEPLOY / "mosquitto.conf").read_text(), flags=re.M)
SHIPPED = dict(zip(_PARTS[1::2], _PARTS[2::2], strict=True))
GATEWAY, OTHER = "campus-01", "campus-02"
COLLECTOR, OPERATOR, READER = "centre.collector", "centre.operator", "centre.reader"


@contextlib.contextmanager
def shipped_broker(folder: Path, section: str) -> Iterator[Broker]:
    """Run the settings of one section, commented out or not, and those of both; only port, user and paths are ours."""
    text = re.sub(r"^#(?! )", "", SHIPPED[section], flags=re.M) + SHIPPED["both"] + f"\nuser {getpass.getuser()}\n"
    port = free_port()
    text = re.sub(r"^listener .*", f"listener {port} 127.0.0.1", text, flags=re.M)
    text = re.sub(r"^persistence_location .*", f"persistence_location {folder}", text, flags=re.M)
    text = text.replace("/etc/mosquitto/flatwatt.acl", str(DEPLOY / "mosquitto.acl"))
    text = re.sub(r" (/etc/mosquitto/certs|/var/lib/flatwatt-ca)/", f" {folder}/", text)
    config = folder / "mosquitto.conf"
    config.write_text(text.replace("\nuser mosquitto\n", "\n"))
    broker = Broker((shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", config), port, folder / "broker.log")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def client(broker: Broker, program: str, *options: str, lines: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``mosquitto_pub`` or ``mosquitto_sub`` to its end."""
    command = [program, "-h", broker.host, "-p", str(broker.port), "-q", "1", *options]
    return subprocess.run(command, input=lines, capture_output=True, text=True, timeout=20, check=False)


def certificate(folder: Path, name: str) -> tuple[str, ...]:
    """Give the options by which a client shows who it is."""
    return ("--cafile", f"{folder}/ca.pem", "--cert", f"{folder}/{name}.pem", "--key", f"{folder}/{name}.key")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[tuple[Broker, Path]]:
    """A broker with the fleet's settings, and the folder with everybody's certificates."""
    authority = Authority(tmp_path)
    for name in (GATEWAY, OTHER, COLLECTOR, OPERATOR, READER, "centre.broker"):
        authority.issue(name)
    authority.issue("stolen-01")
    authority.revoke("stolen-01")
    authority.issue("late-01", days=1e-9)
    with shipped_broker(tmp_path, "a fleet") as broker:
        yield broker, tmp_path


def test_a_queue_longer_than_the_default_survives_an_absent_collector_and_a_restart(tmp_path: Path) -> None:
    """Mosquitto's own limit would silently drop what exceeds 1000 messages."""
    with shipped_broker(tmp_path, "this machine only") as broker:
        session = ("-c", "-i", "collector", "-t", "flatwatt/#")
        client(broker, "mosquitto_sub", *session, "-E")
        client(broker, "mosquitto_pub", "-t", "flatwatt/v1/g/up/summary/m", "-l", lines="{}\n" * 1500)
        broker.stop()
        broker.start()
        heard = client(broker, "mosquitto_sub", *session, "-C", "1500", "-W", "10").stdout

    assert heard.count("{}") == 1500


def test_retained_states_survive_a_restart(tmp_path: Path) -> None:
    """Who subscribes after it still learns how things stand."""
    with shipped_broker(tmp_path, "this machine only") as broker:
        client(broker, "mosquitto_pub", "-r", "-t", "flatwatt/v1/g/up/status", "-m", "online")
        broker.stop()
        broker.start()
        heard = client(broker, "mosquitto_sub", "-t", "flatwatt/#", "-C", "1", "-W", "5").stdout

    assert heard == "online\n"


def test_everybody_speaks_only_in_their_own_place(fleet: tuple[Broker, Path]) -> None:
    """A gateway as itself upwards, the collector by receipts, the operator by commands, all others not at all."""
    broker, folder = fleet
    ways = ("up/status", "down/receipt", "down/command")
    topics = [f"flatwatt/v1/{name}/{way}" for name in (GATEWAY, OTHER) for way in ways]
    for speaker in (GATEWAY, COLLECTOR, OPERATOR, READER):
        for topic in [*topics, "other/topic", "$SYS/broker/clients"]:
            words = ("-r", "-t", topic, "-m", speaker, "-V", "5")
            client(broker, "mosquitto_pub", *certificate(folder, speaker), *words)
    heard = client(broker, "mosquitto_sub", *certificate(folder, READER), "-t", "#", "-W", "1", "-F", "%t %p").stdout

    assert set(heard.splitlines()) == {
        f"flatwatt/v1/{GATEWAY}/up/status {GATEWAY}",
        f"flatwatt/v1/{GATEWAY}/down/receipt {COLLECTOR}",
        f"flatwatt/v1/{OTHER}/down/receipt {COLLECTOR}",
        f"flatwatt/v1/{GATEWAY}/down/command {OPERATOR}",
        f"flatwatt/v1/{OTHER}/down/command {OPERATOR}",
    }


def test_a_gateway_hears_only_what_is_meant_for_it(fleet: tuple[Broker, Path]) -> None:
    """Whatever it subscribes to, the broker's own figures included."""
    broker, folder = fleet
    for name in (GATEWAY, OTHER):
        words = ("-r", "-t", f"flatwatt/v1/{name}/down/receipt", "-m", "{}")
        client(broker, "mosquitto_pub", *certificate(folder, COLLECTOR), *words)
        words = ("-r", "-t", f"flatwatt/v1/{name}/up/status", "-m", "{}")
        client(broker, "mosquitto_pub", *certificate(folder, name), *words)
    asked = ("-t", "#", "-t", "$SYS/#", "-t", f"flatwatt/v1/{OTHER}/down/#", "-t", "$share/g/flatwatt/#")
    heard = client(broker, "mosquitto_sub", *certificate(folder, GATEWAY), *asked, "-W", "1", "-F", "%t").stdout

    assert set(heard.splitlines()) == {f"flatwatt/v1/{GATEWAY}/down/receipt"}


def test_a_last_will_is_held_to_the_same_rules(fleet: tuple[Broker, Path]) -> None:
    """The broker says it in the name of one who is gone, and still only in his own place."""
    broker, folder = fleet
    command = ["mosquitto_sub", "-h", broker.host, "-p", str(broker.port), *certificate(folder, GATEWAY), "-t", "none"]
    will = ("--will-retain", "--will-payload", "{}", "--will-qos", "1", "--will-topic")
    for count, topic in enumerate((f"{OTHER}/up/status", f"{GATEWAY}/down/command", f"{GATEWAY}/up/status"), 1):
        with subprocess.Popen([*command, *will, f"flatwatt/v1/{topic}"]) as process:
            deadline = time.monotonic() + 5
            while broker.log.read_text().count(f"as {GATEWAY} (") < count and time.monotonic() < deadline:
                time.sleep(0.02)
            process.kill()
    heard = client(broker, "mosquitto_sub", *certificate(folder, READER), "-t", "#", "-W", "1", "-F", "%t").stdout

    assert heard.splitlines() == [f"flatwatt/v1/{GATEWAY}/up/status"]


def test_nobody_connects_without_a_valid_certificate(fleet: tuple[Broker, Path], tmp_path: Path) -> None:
    """Neither with none nor with one that is revoked, has expired, or is of another authority."""
    broker, folder = fleet
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    Authority(foreign).issue(GATEWAY)
    word = ("-t", f"flatwatt/v1/{GATEWAY}/up/status", "-m", "{}")
    shown = {
        "none": ("--cafile", f"{folder}/ca.pem"),
        "revoked": certificate(folder, "stolen-01"),
        "expired": certificate(folder, "late-01"),
        "foreign": ("--cafile", f"{folder}/ca.pem", *certificate(foreign, GATEWAY)[2:]),
        "of a server": certificate(folder, "centre.broker"),
        "valid": certificate(folder, GATEWAY),
    }

    let_in = [
        name for name, options in shown.items() if not client(broker, "mosquitto_pub", *options, *word).returncode
    ]
    assert let_in == ["valid"]


def test_a_broker_that_keeps_its_rules_is_told_from_one_that_does_not(
    fleet: tuple[Broker, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a file of rules everybody may say everything, and nothing else would show it."""
    broker, folder = fleet
    url = f"mqtts://127.0.0.1:{broker.port}"
    kept = main(["ca", "check", str(folder), url]), capsys.readouterr().out
    config = folder / "mosquitto.conf"
    config.write_text(re.sub(r"^acl_file .*", "", config.read_text(), flags=re.M))
    broker.restart()

    broken = main(["ca", "check", str(folder), url]), capsys.readouterr().out

    assert (kept[0], kept[1].count("kept"), kept[1].count("BROKEN")) == (0, 7, 0)
    assert broken[0] == 1
    assert "BROKEN  a gateway does not speak as another" in broken[1]


def test_a_revocation_counts_from_the_next_reload(fleet: tuple[Broker, Path]) -> None:
    """The broker need not be restarted for it."""
    broker, folder = fleet
    word = (*certificate(folder, OTHER), "-t", f"flatwatt/v1/{OTHER}/up/status", "-m", "{}")
    before = client(broker, "mosquitto_pub", *word).returncode
    Authority(folder).revoke(OTHER)

    broker.send(signal.SIGHUP)

    deadline = time.monotonic() + 5
    while not (after := client(broker, "mosquitto_pub", *word).returncode) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (before, bool(after)) == (0, True)


def test_nobody_pushes_another_off_the_broker(fleet: tuple[Broker, Path]) -> None:
    """The client id is the certificate's name, whatever somebody calls himself."""
    broker, folder = fleet
    listening = ["mosquitto_sub", "-h", broker.host, "-p", str(broker.port), *certificate(folder, GATEWAY), "-t", "#"]
    with subprocess.Popen([*listening, "-C", "1", "-W", "5"], stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 5
        while f"as {GATEWAY} (" not in broker.log.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        word = ("-i", GATEWAY, "-t", f"flatwatt/v1/{OTHER}/up/status", "-m", "{}")
        client(broker, "mosquitto_pub", *certificate(folder, OTHER), *word)
        last = ("-r", "-t", f"flatwatt/v1/{GATEWAY}/down/receipt", "-m", "still there")
        client(broker, "mosquitto_pub", *certificate(folder, COLLECTOR), *last)
        heard, _ = process.communicate(timeout=10)

    assert heard == "still there\n"
