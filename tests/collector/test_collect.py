"""`flatwatt collect` as a process: nothing lost, nothing double, clear lines."""

import http.client
import random
import resource
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from agent.deliver import chain
from tests.broker import mosquitto
from tests.collector.gateway import FakeGateway
from tests.collector.program import Collector, collector, line


def seqs(database: Path) -> list[int]:
    """Give the seq of each stored record."""
    with closing(sqlite3.connect(database)) as opened:
        return [row[0] for row in opened.execute("SELECT seq FROM record ORDER BY seq")]


def test_what_is_sent_is_stored_shown_and_receipted(tmp_path: Path) -> None:
    """Records and garbage in any order; the receipt is retained, so a gateway that comes later finds it."""
    gateway = FakeGateway()
    records = gateway.windows(50)
    mixed = [*records, *records[:20], ("flatwatt/v1/campus-01/up/summary/m", b"garbage")]
    random.Random(1).shuffle(mixed)
    with mosquitto(tmp_path) as broker, collector(tmp_path, broker.url) as process:
        process.hears()
        with line(broker.port) as sender:
            sender.send(gateway.status(), retain=True)
            sender.send(*mixed)
            sender.receipt(100)
        with line(broker.port) as later:
            receipt = later.receipt(100)
        fleet = process.get("api/fleet")

    assert (receipt.head, receipt.missing) == (gateway.head.hex(), [])
    assert seqs(process.database) == list(range(1, 101))
    assert fleet["sites"][0]["meters"][0]["active_power_w"] == 12_000
    assert "garbage" not in process.log.read_text()
    assert process.log.read_text().count("rejected a message on 'flatwatt/v1/campus-01/up/summary/m'") == 1
    key = tmp_path / "collector.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_killed_at_any_moment_it_stores_each_record_once(tmp_path: Path) -> None:
    """``kill -9`` between messages: what was not committed comes again, what was is not double, receipts catch up."""
    gateway = FakeGateway()
    records = gateway.windows(300)
    process = Collector(tmp_path, "")
    with mosquitto(tmp_path) as broker, line(broker.port) as sender:
        process = Collector(tmp_path, broker.url)
        process.start()
        process.hears()
        sender.send(gateway.status(), retain=True)
        for start in range(0, 600, 150):
            sender.send(*records[start : start + 150])
            process.end(signal.SIGKILL)
            process.start()
        receipt = sender.receipt(600)
        process.end(signal.SIGKILL)

    assert receipt.head == gateway.head.hex()
    assert seqs(process.database) == list(range(1, 601))


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_though_pages_are_open(tmp_path: Path, how: signal.Signals) -> None:
    """An open event stream does not keep the process."""
    with mosquitto(tmp_path) as broker, collector(tmp_path, broker.url) as process:
        page = http.client.HTTPConnection(*process.address, timeout=5)
        page.request("GET", "/events")
        response = page.getresponse()
        assert response.readline() == b"event: commit\n"
        begin = time.monotonic()
        code = process.end(how)
        page.close()

    assert code == 0
    assert time.monotonic() - begin < 2.5
    assert "Traceback" not in process.log.read_text()


def test_a_full_disk_is_one_line_and_then_all_goes_on(tmp_path: Path) -> None:
    """Nothing is acknowledged that is not stored, and nothing is lost."""
    gateway = FakeGateway()
    with mosquitto(tmp_path) as broker, collector(tmp_path, broker.url) as process, line(broker.port) as sender:
        process.hears()
        log_bytes = tmp_path.joinpath("collector.db-wal").stat().st_size
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (log_bytes, resource.RLIM_INFINITY))
        sender.send(*gateway.windows(100))
        process.says("cannot store, trying again every 2 s; nothing is acknowledged")
        assert sender.receipts.empty()
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        receipt = sender.receipt(200)
        log = process.log.read_text()

    assert receipt.head == gateway.head.hex()
    assert log.count("cannot store") == 1
    assert "Traceback" not in log


def run_collect(*options: str) -> tuple[int, str]:
    """Run `flatwatt collect`, which is to refuse; gives exit code and output."""
    command = [sys.executable, "-m", "agent.cli", "collect", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_port_in_use_is_a_clear_line(tmp_path: Path) -> None:
    """It says which address, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, text = run_collect("--db", str(tmp_path / "c.db"), "--http", f"127.0.0.1:{port}")

    assert code == 1
    assert text == (
        f"flatwatt collect: the page cannot be served on 127.0.0.1:{port}: Address already in use;"
        " name another address with --http\n"
    )


def test_a_damaged_database_is_a_clear_line(tmp_path: Path) -> None:
    """Nothing is written over it; the line says how to go on."""
    database = tmp_path / "c.db"
    database.write_bytes(b"no database" * 1000)

    code, text = run_collect("--db", str(database), "--http", "127.0.0.1:0")

    assert code == 1
    assert f"{database}: damaged, or no flatwatt database" in text
    assert f"mv {database} {database}.damaged" in text
    assert "Traceback" not in text
    assert database.read_bytes() == b"no database" * 1000


def test_a_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    """Not a byte of it is changed."""
    database = tmp_path / "c.db"
    with closing(sqlite3.connect(database)) as other:
        other.execute("CREATE TABLE notes (text TEXT)")
    before = database.read_bytes()

    code, text = run_collect("--db", str(database), "--http", "127.0.0.1:0")

    assert (code, "a database of another program" in text) == (1, True)
    assert database.read_bytes() == before


def test_a_database_that_is_moved_in_use_ends_the_collector(tmp_path: Path) -> None:
    """It would be written under its new name, and receipts given for what nobody finds."""
    gateway = FakeGateway()
    moved = tmp_path / "moved.db"
    with mosquitto(tmp_path) as broker, line(broker.port) as sender:
        with collector(tmp_path, broker.url) as process:
            process.hears()
            process.database.rename(moved)
            sender.send(*gateway.windows(1))
            log = process.says("moved, replaced or removed while in use; nothing more is acknowledged")
        moved.rename(process.database)
        with collector(tmp_path, broker.url):
            sender.receipt(2)

    assert "Traceback" not in log


def test_a_database_that_is_damaged_in_use_ends_the_collector(tmp_path: Path) -> None:
    """Damage that shows later ends it with the same line, and nothing more is acknowledged."""
    gateway = FakeGateway()
    with mosquitto(tmp_path) as broker, line(broker.port) as sender:
        with collector(tmp_path, broker.url) as process:
            process.hears()
            sender.send(*gateway.windows(200))
            sender.receipt(400)
            assert process.end() == 0
        whole = process.database.read_bytes()
        process.database.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
        sender.send(*gateway.windows(1))
        code, text = run_collect("--db", str(process.database), "--mqtt", broker.url, "--http", "127.0.0.1:0")

    assert code == 1
    assert "damaged" in text
    assert "Traceback" not in text


def test_two_collectors_do_not_share_a_database(tmp_path: Path) -> None:
    """The second one is refused."""
    with mosquitto(tmp_path) as broker, collector(tmp_path, broker.url) as process:
        code, text = run_collect("--db", str(process.database), "--http", "127.0.0.1:0")

    assert (code, "another collector writes it" in text) == (1, True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--mqtt", "127.0.0.1:1883"], "--mqtt: '127.0.0.1:1883' is no broker; expected mqtt://HOST[:PORT]"),
        (["--http", "8080"], "--http: '8080' is no address; expected HOST:PORT"),
        (["--ca-file", "ca.crt"], "--ca-file, --cert-file, --tls-key-file: mqtt://127.0.0.1:1883 is not encrypted"),
        (["--mqtt", "mqtts://h", "--tls-key-file", "x"], "--tls-key-file: belongs to a certificate"),
        (["--password-file", "x"], "--password-file: belongs to a user"),
        (["--mqtt", "mqtt://h"], "--mqtt: mqtt://h is not encrypted, and leaves this machine; name mqtts://HOST"),
        (["--plaintext"], "--plaintext: has no effect with mqtt://127.0.0.1:1883"),
        (
            ["--username", "u", "--password-file", "/nonexistent"],
            "/nonexistent: cannot read --password-file: No such file or directory",
        ),
        (["--db", "."], "--db: .: is no file; expected a database or a new name, for example ./collector.db"),
        (["--db", "/dev/null"], "--db: /dev/null: is no file"),
    ],
)
def test_a_wrong_option_is_wrong_input(tmp_path: Path, options: list[str], complaint: str) -> None:
    """Exit code 2 and what was expected."""
    code, text = run_collect("--db", str(tmp_path / "c.db"), *options)

    assert code == 2
    assert complaint in text
    assert "Traceback" not in text


def test_a_key_file_that_is_none_is_never_replaced(tmp_path: Path) -> None:
    """Gateways pinned the old key: a damaged file needs a person."""
    key = tmp_path / "c.key"
    key.touch(mode=0o600)
    key.write_text("not a key")

    code, text = run_collect("--db", str(tmp_path / "c.db"), "--http", "127.0.0.1:0")

    assert (code, key.read_text()) == (1, "not a key")
    assert "no unencrypted P-256 private key" in text


@pytest.mark.parametrize("option", ["--key", "--password-file", "--tls-key-file"])
def test_a_secret_that_others_may_read_is_refused(tmp_path: Path, option: str) -> None:
    """It is no secret, and the collector does not start with it."""
    secret, other = tmp_path / "secret", tmp_path / "other"
    for path in (secret, other):
        path.touch(mode=0o604)
    options = {
        "--password-file": ["--username", "u"],
        "--tls-key-file": ["--mqtt", "mqtts://h", "--cert-file", str(other)],
    }

    code, text = run_collect(
        "--db", str(tmp_path / "c.db"), "--http", "127.0.0.1:0", *options.get(option, []), option, str(secret)
    )

    assert code == 2
    assert "others may read" in text
    assert f"chmod 600 {secret}" in text


def test_the_receipt_is_signed_by_the_key_in_the_file(tmp_path: Path) -> None:
    """The same key over restarts: gateways pin it."""
    gateway = FakeGateway()
    with mosquitto(tmp_path) as broker, line(broker.port) as sender:
        keys = []
        for _ in range(2):
            with collector(tmp_path, broker.url) as process:
                process.hears()
                sender.send(*gateway.windows(1))
                keys.append(sender.receipt(gateway.seq).public_key)

    assert keys[0] == keys[1]
    assert chain.key_id(keys[0])


def test_without_its_extra_it_says_what_to_install() -> None:
    """The gateway's installation has the verb but not the page's libraries."""
    program = "import sys; sys.modules['uvicorn'] = None; from agent.cli import main; sys.exit(main(['collect']))"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=15, check=False)

    assert done.returncode == 1
    assert done.stderr == (
        "flatwatt collect: the collector needs uvicorn, which is not installed: pip install 'flatwatt[collector]'\n"
    )
