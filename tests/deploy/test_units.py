"""The shipped systemd units, read as systemd reads them."""

import shlex
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted(DEPLOY.glob("*.service"))
REQUIRED = {
    "CapabilityBoundingSet=",
    "DevicePolicy=closed",
    "MemoryDenyWriteExecute=yes",
    "NoNewPrivileges=yes",
    "PrivateTmp=yes",
    "ProtectHome=yes",
    "ProtectSystem=strict",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
    "SystemCallFilter=~@privileged @resources",
    "UMask=0077",
}


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_service_runs_with_the_least_rights_that_it_needs(unit: Path) -> None:
    """Each unit has a user of its own and every one of these walls."""
    lines = unit.read_text().splitlines()

    assert set(lines) >= REQUIRED
    assert any(line.startswith("User=flatwatt") for line in lines)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_wrong_configuration_waits_for_a_person_and_everything_else_is_tried_again(unit: Path) -> None:
    """Exit code 2 means wrong input; a gateway in a cabinet never gives up otherwise."""
    lines = unit.read_text().splitlines()

    assert {"Restart=always", "RestartPreventExitStatus=2", "StartLimitIntervalSec=0"} <= set(lines)


def test_state_is_where_the_unit_makes_it() -> None:
    """A service may write to its state directory only, so the collector's files must be there."""
    lines = dict(
        line.split("=", 1) for line in (DEPLOY / "flatwatt-collector.service").read_text().splitlines() if "=" in line
    )
    words = shlex.split(lines["ExecStart"])

    assert Path(words[words.index("--db") + 1]).parent == Path("/var/lib") / lines["StateDirectory"]
