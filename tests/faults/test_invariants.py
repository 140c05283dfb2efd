"""Each query of the campaign finds what it is there to find: a check that cannot fail would prove nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.collector.desk import Desk
from tests.collector.gateway import START_S, WINDOW_S, FakeGateway, named
from tests.faults.invariants import QUERIES, Truth, contradictions

WATTS = 12_000.0
LAST_S = START_S + 3 * WINDOW_S
HARMS = {
    "lost": f"DELETE FROM summary WHERE start_s = {LAST_S}",
    "duplicated": """INSERT INTO record (gateway, stream, seq, kind, payload, received_s)
        SELECT gateway, stream, 1000, kind, CAST(replace(CAST(payload AS TEXT), '12000', '13000') AS BLOB), received_s
        FROM record WHERE kind = 'summary' LIMIT 1""",
    "doubled": "UPDATE meter_day SET load_wh = 2 * load_wh",
    "reordered": f"UPDATE summary SET seq = 1000 WHERE start_s = {START_S}",
    "undeclared_gaps": "DELETE FROM record WHERE seq = 3",
    "unchained": "UPDATE stream SET through = through - 1",
    "invented": f"UPDATE summary SET active_power_w = 12500 WHERE start_s = {LAST_S}",
    "zeroed": f"UPDATE summary SET active_power_w = 0, quality = 'C' WHERE start_s = {LAST_S}",
    "energy_off": f"UPDATE summary SET active_energy_import_wh = 99000 WHERE start_s = {LAST_S}",
    "false_alarms": "UPDATE alarm SET meter = 'feeder-1'",
    "false_kwh": "UPDATE meter_day SET mining_wh = 1 WHERE meter = 'feeder-1'",
    "unsigned": "UPDATE record SET payload = CAST(replace(CAST(payload AS TEXT), '12000', '12001') AS BLOB)",
}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A collector's database with four windows of one meter, and an alarm at another that mines."""
    gateway = FakeGateway()
    desk = Desk(tmp_path / "collector.db")
    desk.commit(gateway.status(named("feeder-1"), named("farm")), gateway.event("the first start", None, "start"))
    for number in range(4):
        told = gateway.summary(window=number, watts=WATTS, energy_wh=1000.0 + number * WATTS / 4)
        desk.commit(told, gateway.checkpoint())
    desk.commit(gateway.alarm("farm"), gateway.checkpoint())
    desk.close()
    return desk.database


def truth() -> Truth:
    """Give what a simulator would know of these four windows."""
    starts = [START_S + number * WINDOW_S for number in range(4)]
    return Truth(
        expected=[("feeder-1", start_s, WINDOW_S) for start_s in starts],
        power_w=[("feeder-1", start_s, WATTS) for start_s in starts],
        mining={"feeder-1": False, "farm": True},
    )


def test_what_is_as_it_should_be_contradicts_nothing(database: Path) -> None:
    """All queries, and chain and signatures."""
    found = contradictions(database, truth())

    assert {name: rows for name, rows in found.items() if rows} == {}
    assert set(found) == set(QUERIES) | {"unsigned"} == set(HARMS)


@pytest.mark.parametrize("name", HARMS)
def test_what_is_wrong_is_found(database: Path, name: str) -> None:
    """One thing is changed in the database, and the query of that name sees it."""
    with closing(sqlite3.connect(database)) as db:
        db.execute(HARMS[name])
        db.commit()

    assert contradictions(database, truth())[name] != []


def test_a_window_that_a_restart_declares_missing_is_not_lost(database: Path) -> None:
    """From the end of the last window that was told until the start."""
    with closing(sqlite3.connect(database)) as db:
        db.execute(HARMS["lost"])
        event = (
            f"UPDATE event SET event = 'restart', time_s = {LAST_S + WINDOW_S}, data = json_object('told_until_s', ?)"
        )
        db.execute(event, (LAST_S,))
        db.commit()

    assert contradictions(database, truth())["lost"] == []


def test_a_gateway_that_says_it_starts_for_the_first_time_again_declares_nothing(database: Path) -> None:
    """Only before the first window of all nobody was there: who lost everything and forgot it is found."""
    with closing(sqlite3.connect(database)) as db:
        db.execute(HARMS["lost"])
        db.execute("UPDATE event SET event = 'start', time_s = ?", (LAST_S + WINDOW_S,))
        db.commit()

    assert contradictions(database, truth())["lost"] != []
