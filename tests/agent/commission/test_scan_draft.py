"""The configuration that a scan writes."""

import math
import tomllib
from pathlib import Path

import pytest

from agent.acquire.profiles.profile import find_profile
from agent.commission.identify import Identification, Sure
from agent.commission.scan.draft import draft, save
from agent.commission.scan.scan import FoundMeter
from agent.config import load_gateway
from agent.errors import FlatwattError

LINE, HOST = "rtu:///dev/ttyUSB0?baud=9600&parity=N&stopbits=1", "tcp://10.0.0.7:502"


def found(url: str, unit: int, *profiles: str, why: str = "") -> FoundMeter:
    """A unit that answers, and the profiles that fit."""
    fitting = tuple(find_profile(name) for name in profiles)
    sure = Sure.CANDIDATES if fitting else Sure.UNKNOWN
    identification = Identification(sure, fitting, why)
    return FoundMeter(
        url=url, unit=unit, identification=identification, serial_number=math.nan, active_power_w=math.nan
    )


def test_ids_are_of_model_and_unit_and_never_the_same(tmp_path: Path) -> None:
    """Two gateways may each have an SDM630 with unit id 1."""
    path = tmp_path / "gateway.toml"
    path.write_text(
        draft(
            [found(url, 1, "eastron_sdm630") for url in (HOST, "tcp://10.0.0.8:502", "tcp://10.0.0.9:1502")]
            + [found(HOST, 11, "eastron_sdm630")],
            {},
        )
    )

    config = load_gateway(path)

    assert [meter.id for meter in config.meters] == ["sdm630-1", "sdm630-1-2", "sdm630-1-3", "sdm630-11"]
    assert [bus.name for bus in config.buses] == ["10.0.0.7", "10.0.0.8", "10.0.0.9:1502"]


@pytest.mark.parametrize(("meters", "period_s"), [(1, 1.0), (5, 2.0), (20, 10.0)])
def test_the_period_is_the_shortest_that_every_bus_can_carry(meters: int, period_s: float) -> None:
    """An SDM630 at 9600 baud takes 0.26 s; three tenths of the time stay free."""
    written = tomllib.loads(draft([found(LINE, unit, "eastron_sdm630") for unit in range(1, meters + 1)], {}))

    assert written["poll"]["period_s"] == period_s


def test_a_port_is_named_by_what_stays_the_same() -> None:
    """The adapter's own name, with the setting in which the meters answered."""
    stable = "/dev/serial/by-id/usb-FTDI_FT232R-if00-port0"

    (bus,) = tomllib.loads(draft([found(LINE, 1, "eastron_sdm630")], {"/dev/ttyUSB0": stable}))["bus"]

    assert bus["url"] == f"rtu://{stable}?baud=9600&parity=N&stopbits=1"


def test_a_file_that_came_into_being_during_the_scan_is_not_overwritten(tmp_path: Path) -> None:
    """A scan takes half an hour, and somebody may write it by hand meanwhile."""
    path = tmp_path / "gateway.toml"
    path.write_text("mine")

    with pytest.raises(FlatwattError, match="is not written: File exists"):
        save(path, "found")

    assert path.read_text() == "mine"


def test_other_candidates_and_unknown_units_stand_in_remarks() -> None:
    """The best candidate is written, the others are named; a unit without a profile is not left out."""
    text = draft([found(HOST, 1, "eastron_sdm630", "eastron_sdm230", why="43 of 43"), found(HOST, 2)], {})

    assert "# 43 of 43\n# no code tells the model: the type plate decides; it may also be eastron_sdm230\n" in text
    assert "# unit 2 at tcp://10.0.0.7:502 answers, and no profile fits it" in text
