"""How each program is told to read the same meters once a second and publish to the same broker.

Every meter has 40 registers behind one Modbus TCP port (bench/peers/meters.c); a program reads all of them,
in one request a meter where it can, and publishes what it read.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.peers import node_red, thingsboard
from bench.peers.facility import HERE, REGISTERS, Facility, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program: ``start`` gives its running process, and ``needs`` the file without which it is not here."""

    name: str
    does: str
    needs: str  # in the folder of what is installed, or an absolute path; "" where nothing is needed
    settle_s: float  # until it runs evenly
    start: Callable[[Facility], list[subprocess.Popen[bytes]]]  # the one to measure first

    def is_here(self, installed: Path) -> bool:
        """Tell whether it is installed."""
        return not self.needs or (installed / self.needs).exists()


def _flatwatt(facility: Facility) -> list[subprocess.Popen[bytes]]:
    text = f"""\
id = "bench"
state_dir = "{facility.folder}/state"
[site]
name = "Bench"
kind = "industry"
[poll]
period_s = 1
window_s = 60
[mqtt]
url = "mqtt://127.0.0.1:{facility.broker_port}"
[delivery]
mode = "broker"
"""
    for number, port in enumerate(facility.ports):
        text += f"""
[[bus]]
name = "b{number}"
url = "tcp://127.0.0.1:{port}"
[[meter]]
id = "m{number}"
bus = "b{number}"
unit = 1
profile = "{HERE}/meter_40.toml"
"""
    config = facility.folder / "gateway.toml"
    config.write_text(text)
    return [run(facility, Path(sys.executable).with_name("flatwatt"), "run", "-c", config)]


def _plain_pymodbus(facility: Facility) -> list[subprocess.Popen[bytes]]:
    words = [facility.first_port, facility.meters, REGISTERS, facility.broker_port]
    return [run(facility, sys.executable, HERE / "plain_pymodbus.py", *map(str, words))]


def _c_limit(facility: Facility) -> list[subprocess.Popen[bytes]]:
    words = [facility.first_port, facility.meters, REGISTERS, facility.broker_port]
    return [run(facility, facility.installed / "c_limit", *map(str, words))]


def _collectd(facility: Facility) -> list[subprocess.Popen[bytes]]:
    registers = range(0, REGISTERS, 2)  # it has one definition for each value, and one request for each
    values = "".join(
        f'<Data "r{address}">\nRegisterBase {address}\nRegisterType float\nRegisterCmd ReadHolding\n'
        f'Type gauge\nInstance "r{address}"\n</Data>\n'
        for address in registers
    )
    collect = "".join(f'Collect "r{address}"\n' for address in registers)
    hosts = "".join(
        f'<Host "m{port}">\nAddress "127.0.0.1"\nPort "{port}"\nInterval 1\n<Slave 1>\nInstance "m"\n{collect}'
        "</Slave>\n</Host>\n"
        for port in facility.ports
    )
    config = facility.folder / "collectd.conf"
    config.write_text(f"""\
Hostname "bench"
FQDNLookup false
BaseDir "{facility.folder}"
PIDFile "{facility.folder}/pid"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin mqtt
<Plugin mqtt>
<Publish "bench">
Host "127.0.0.1"
Port {facility.broker_port}
ClientId "collectd"
QoS 1
Prefix "bench"
StoreRates false
</Publish>
</Plugin>
LoadPlugin modbus
<Plugin modbus>
{values}{hosts}</Plugin>
""")
    return [run(facility, "collectd", "-f", "-C", config)]


FLATWATT = Program(
    name="flatwatt",
    does="spool, features, judgement, checks, signed chain",
    needs="",
    settle_s=8,
    start=_flatwatt,
)
PROGRAMS = (
    FLATWATT,
    Program(
        name="C limit: libmodbus + libmosquitto",
        does="reads and publishes, no more",
        needs="c_limit",
        settle_s=3,
        start=_c_limit,
    ),
    Program(
        name="pymodbus 3.16 + paho, used plainly",
        does="a task a meter, publishes each answer",
        needs="",
        settle_s=4,
        start=_plain_pymodbus,
    ),
    Program(
        name="Node-RED 5 + contrib-modbus 5.60",
        does="publishes each answer",
        needs="node_red/node_modules/node-red-contrib-modbus",
        settle_s=20,
        start=node_red.start,
    ),
    Program(
        name="collectd 5.12",
        does="20 requests a meter, publishes each value",
        needs="/usr/sbin/collectd",
        settle_s=8,
        start=_collectd,
    ),
    Program(
        name="ThingsBoard gateway 3.8.5",
        does="one block a meter, publishes values",
        needs="thingsboard/bin/thingsboard-gateway",
        settle_s=20,
        start=thingsboard.start,
    ),
)
