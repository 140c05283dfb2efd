"""The page: what it serves, what it lets run, and what a person sees in a browser."""

import contextlib
import hashlib
import http.client
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.service import PAGES
from tests.collector import browser
from tests.collector.desk import Desk
from tests.collector.gateway import FakeGateway, named
from tests.collector.program import Collector, collector, until

NOBODY = "mqtt://127.0.0.1:9"  # the discard port: no broker
HOSTILE = "<img src=x onerror=\"document.title='owned'\"></script><script>document.title='owned'</script>"
STATIC = Path(__file__).parents[3] / "collector/web/static"
DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def served(desk: Desk, tmp_path: Path) -> Iterator[Collector]:
    """Give a collector process over a database with two meters, one of which has a hostile name."""
    gateway = FakeGateway()
    desk.commit(
        gateway.status(named("feeder-1", "Laboratory B"), named("evil", HOSTILE), site=HOSTILE),
        *(
            gateway.summary("feeder-1", window, 50_000.0 + window, (1.0, 42_000.0, 5e4), verdict="mining")
            for window in range(9)
        ),
        gateway.summary("evil"),
        gateway.alarm(text=HOSTILE),
        gateway.event(HOSTILE),
        ("flatwatt/v1/campus-01/up/" + HOSTILE, HOSTILE.encode()),
    )
    desk.close()
    with collector(tmp_path, NOBODY) as process:
        yield process


def ask(process: Collector, path: str) -> tuple[int, dict[str, str], str]:
    """Give status, headers and text."""
    line = http.client.HTTPConnection(*process.address, timeout=5)
    try:
        line.request("GET", path)
        response = line.getresponse()
        return response.status, {key.lower(): value for key, value in response.getheaders()}, response.read().decode()
    finally:
        line.close()


def test_the_api_answers_in_the_agreed_form(served: Collector) -> None:
    """The demo and other programs read these names."""
    fleet = served.get("api/fleet")
    site = fleet["sites"][0]

    assert list(fleet) == ["time_s", "sites", "alarms", "findings"]
    assert (
        " ".join(site) == "gateway name site site_kind state clock last_s load_w mining_w mining_share last_day meters"
    )
    assert " ".join(site["meters"][0]) == (
        "meter name role parent declared verdict score quality clock active_power_w mining_w mining_share since_s"
        " load_kwh mining_kwh curve"
    )
    assert " ".join(fleet["alarms"][0]) == (
        "gateway meter alarm state raised_s time_s verdict score mining_w mining_share since_s reasons"
    )
    assert served.get("healthz") == {"ok": True, "gateways": 1}
    assert len(served.get("api/meter/campus-01/feeder-1")["start_s"]) == 9


def test_metrics_count_what_an_alarm_may_ring_for(served: Collector) -> None:
    """In the text format of Prometheus: each line is a comment or a sample, and the numbers are those of the page."""
    status, headers, text = ask(served, "/metrics")

    samples = dict(re.findall(r"^(flatwatt_\w+(?:\{.*\})?) ([-0-9.e+]+)$", text, re.M))
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert all(line.startswith("#") or line.rpartition(" ")[0] in samples for line in text.splitlines())
    assert samples["flatwatt_gateways"] == "1"
    assert samples['flatwatt_stream_through{gateway="campus-01",stream="9f86d081"}'] == "12"
    assert samples['flatwatt_findings_open{kind="fork"}'] == "0"
    assert samples["flatwatt_rejected_total"] == "1"
    assert float(samples["flatwatt_store_bytes"]) > 4096
    documented = re.findall(r"^\| `(flatwatt_\w+)` \|", (DOCS / "collector.md").read_text(), re.M)
    assert documented == re.findall(r"^# TYPE (\w+) ", text, re.M)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/meter/campus-01/none", 404),
        ("/api/meter/campus-01/feeder-1?from_s=x", 400),
        ("/api/meter/campus-01/feeder-1?from_s=-99999999999999999999", 200),
        ("/api/meter/campus-01/feeder-1?from_s=99999999999999999999", 200),
        ("/api/meter/campus-01/feeder-1?to_s=-99999999999999999999", 200),
        ("/api/meter/campus-01/feeder-1?to_s=99999999999999999999", 200),
        ("/static/../app.py", 404),
        ("/static/%2e%2e/app.py", 404),
        ("/nothing", 404),
    ],
)
def test_odd_questions_get_plain_answers(served: Collector, path: str, status: int) -> None:
    """Never a traceback, never a file from elsewhere."""
    assert ask(served, path)[0] == status
    assert "Traceback" not in served.log.read_text()


@pytest.mark.parametrize(
    "path", ["/", "/alarms", "/evidence", "/meter/campus-01/evil", "/api/fleet", "/static/page.css"]
)
def test_only_scripts_of_our_own_may_run(served: Collector, path: str) -> None:
    """Each answer forbids inline scripts and other hosts, and no page contains either."""
    status, headers, text = ask(served, path)

    assert status == 200
    assert "script-src 'self';" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    if headers["content-type"].startswith("text/html"):
        assert re.findall(r"<script(?![^>]* src=\"/static/)", text) == []
        assert re.findall(r"https?://", text) == []


def test_open_streams_are_bounded(served: Collector) -> None:
    """Whoever opens more pages than there is room for is refused; the descriptors of broker and database stay free."""
    with contextlib.ExitStack() as lines:
        for _ in range(PAGES):
            line = lines.enter_context(socket.create_connection(served.address, timeout=5))
            line.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            line.recv(1)

        assert ask(served, "/healthz")[0] == 503
    until(lambda: ask(served, "/healthz")[0], lambda status: status == 200)


def test_vendored_files_are_those_that_were_named() -> None:
    """VENDORED.md states version and hash of each, so a changed byte shows."""
    stated = re.findall(r"\| `(\S+)` \| `([0-9a-f]{64})` \|", (STATIC / "vendor/VENDORED.md").read_text())

    assert [name for name, _ in stated] == ["uPlot.esm.js", "uPlot.min.css"]
    for name, digest in stated:
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == digest


@pytest.mark.skipif(browser.PROGRAM is None, reason="no chromium here: apt-get install chromium")
def test_a_person_sees_the_meters_and_no_name_becomes_markup(served: Collector, tmp_path: Path) -> None:
    """Every page shows hostile names as text; nothing that they contain runs; many pages in a row do not hang."""
    with browser.browser(tmp_path / "profile") as tab:
        tab.open(served.page)
        tab.wait("document.querySelector('main').innerText.includes('Laboratory B')")
        assert HOSTILE in tab.value("document.querySelector('main').innerText")
        for page in ("alarms", "evidence", "meter/campus-01/evil", "meter/campus-01/feeder-1") * 2:
            tab.open(served.page + page)
            tab.wait("!!document.querySelector('main .card') && document.readyState === 'complete'")
            assert tab.value("document.querySelectorAll('main img, main script').length") == 0
            assert tab.value("document.title") != "owned"
        tab.wait("!!document.querySelector('.uplot canvas')")
        tab.wait("document.querySelector('h1').innerText === 'Laboratory B'")

    assert tab.console == []


@pytest.mark.skipif(browser.PROGRAM is None, reason="no chromium here: apt-get install chromium")
def test_an_empty_collector_says_what_to_do_next(tmp_path: Path) -> None:
    """The first thing that a newcomer sees is the next step."""
    with collector(tmp_path, NOBODY) as process, browser.browser(tmp_path / "profile") as tab:
        tab.open(process.page)
        tab.wait("document.querySelector('main').innerText.includes('No gateway has reported yet')")
        assert "flatwatt run -c gateway.toml" in tab.value("document.querySelector('main').innerText")
