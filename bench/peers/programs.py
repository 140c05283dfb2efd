"""How each program is told to read the same meters once a second and publish to the same broker.

Every meter has 40 registers behind one Modbus TCP port (bench/peers/meters.c); a program reads all of them,
in one request a meter where it can, and publishes what it read.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
REGISTERS = 40
_ONE_THREAD = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # as deploy/flatwatt-agent.service sets it


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """Where the meters and the broker are, and a folder for a program's own files."""

    first_port: int
    meters: int
    broker_port: int
    installed: Path  # what bench/peers/install made
    folder: Path

    @property
    def ports(self) -> range:
        """One port a meter."""
        return range(self.first_port, self.first_port + self.meters)


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


def _run(facility: Facility, *words: str | Path, env: Mapping[str, str] = _ONE_THREAD) -> subprocess.Popen[bytes]:
    log = (facility.folder / "log").open("ab")
    command = [*map(str, words)]
    return subprocess.Popen(command, stdout=log, stderr=log, cwd=facility.folder, env=env, start_new_session=True)


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
    return [_run(facility, Path(sys.executable).with_name("flatwatt"), "run", "-c", config)]


def _plain_pymodbus(facility: Facility) -> list[subprocess.Popen[bytes]]:
    words = [facility.first_port, facility.meters, REGISTERS, facility.broker_port]
    return [_run(facility, sys.executable, HERE / "plain_pymodbus.py", *map(str, words))]


def _c_limit(facility: Facility) -> list[subprocess.Popen[bytes]]:
    words = [facility.first_port, facility.meters, REGISTERS, facility.broker_port]
    return [_run(facility, facility.installed / "c_limit", *map(str, words))]


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
    return [_run(facility, "collectd", "-f", "-C", config)]


def _node_red(facility: Facility) -> list[subprocess.Popen[bytes]]:
    broker = {
        "id": "broker",
        "type": "mqtt-broker",
        "broker": "127.0.0.1",
        "port": str(facility.broker_port),
        "autoConnect": True,
        "protocolVersion": "4",
        "keepalive": "60",
        "cleansession": True,
    }
    flow: list[dict[str, object]] = [{"id": "tab", "type": "tab", "label": "bench"}, broker]
    for port in facility.ports:
        flow += _node_red_meter(port)
    (facility.folder / "flows.json").write_text(json.dumps(flow))
    settings = {"flowFile": "flows.json", "httpAdminRoot": False, "httpNodeRoot": False, "credentialSecret": "bench"}
    settings |= {"telemetry": {"enabled": False, "updateNotification": False}}
    settings |= {"logging": {"console": {"level": "warn", "metrics": False, "audit": False}}}
    (facility.folder / "settings.js").write_text(f"module.exports = {json.dumps(settings)}")
    node, red = facility.installed / "node/bin/node", facility.installed / "node_red/node_modules/node-red/red.js"
    return [_run(facility, node, red, "--userDir", facility.folder, "-s", facility.folder / "settings.js")]


def _node_red_meter(port: int) -> list[dict[str, object]]:
    """Give the nodes of one meter: its connection, a read every second, a publication of each answer."""
    client: dict[str, object] = {
        "id": f"client{port}",
        "type": "modbus-client",
        "clienttype": "tcp",
        "bufferCommands": True,
        "tcpHost": "127.0.0.1",
        "tcpPort": str(port),
        "tcpType": "DEFAULT",
        "unit_id": "1",
        "commandDelay": "1",
        "clientTimeout": "1000",
        "reconnectOnTimeout": True,
        "reconnectTimeout": "2000",
        "parallelUnitIdsAllowed": True,
    }
    read: dict[str, object] = {
        "id": f"read{port}",
        "type": "modbus-read",
        "z": "tab",
        "topic": f"m{port}",
        "unitid": "1",
        "dataType": "HoldingRegister",
        "adr": "0",
        "quantity": str(REGISTERS),
        "rate": "1000",
        "rateUnit": "ms",
        "server": f"client{port}",
        "wires": [[f"out{port}"], []],
    }
    out: dict[str, object] = {
        "id": f"out{port}",
        "type": "mqtt out",
        "z": "tab",
        "topic": f"bench/m{port}",
        "qos": "1",
        "broker": "broker",
    }
    return [client, read, out | {"wires": []}]


def _thingsboard(facility: Facility) -> list[subprocess.Popen[bytes]]:
    (facility.folder / "data").mkdir()
    config = facility.folder / "config"
    config.mkdir()
    (config / "tb_gateway.json").write_text(json.dumps(_thingsboard_gateway(facility)))
    slaves = [_thingsboard_meter(port) for port in facility.ports]
    connector = {"name": "Modbus", "logLevel": "ERROR", "master": {"slaves": slaves}, "slave": None}
    (config / "modbus.json").write_text(json.dumps(connector))
    platform = _run(facility, sys.executable, HERE / "thingsboard_platform.py", str(facility.broker_port))
    env = _ONE_THREAD | {"TB_GW_CONFIG_DIR": str(config)}
    return [_run(facility, facility.installed / "thingsboard/bin/thingsboard-gateway", env=env), platform]


def _thingsboard_gateway(facility: Facility) -> dict[str, object]:
    unlimited = "0:0,"
    limits = ("rateLimits", "dpRateLimits", "messagesRateLimits", "deviceMessagesRateLimits", "deviceRateLimits")
    server: dict[str, object] = {
        "host": "127.0.0.1",
        "port": facility.broker_port,
        "remoteShell": False,
        "remoteConfiguration": False,
        "statistics": {"enable": False, "statsSendPeriodInSeconds": 3600},
        "maxPayloadSizeBytes": 8196,
        "minPackSendDelayMS": 50,
        "minPackSizeToSend": 500,
        "checkConnectorsConfigurationInSeconds": 3600,
        "security": {"type": "accessToken", "accessToken": "bench"},
        "qos": 1,
        "reportStrategy": {"type": "ON_RECEIVED"},
        "checkingDeviceActivity": {"checkDeviceInactivity": False},
        "deviceDpRateLimits": unlimited,
    } | dict.fromkeys(limits, unlimited)
    storage = {"type": "memory", "read_records_count": 100, "max_records_count": 100_000}
    connector = {"type": "modbus", "name": "Modbus", "configuration": "modbus.json"}
    return {"thingsboard": server, "storage": storage, "grpc": {"enabled": False}, "connectors": [connector]}


def _thingsboard_meter(port: int) -> dict[str, object]:
    block = {"tag": "r${address}", "type": "16uint", "address": f"0-{REGISTERS - 1}", "objectsCount": 1}
    return {
        "host": "127.0.0.1",
        "port": port,
        "type": "tcp",
        "method": "socket",
        "unitId": 1,
        "deviceName": f"m{port}",
        "deviceType": "default",
        "timeout": 3,
        "byteOrder": "BIG",
        "wordOrder": "BIG",
        "retries": 1,
        "pollPeriod": 1000,
        "connectAttemptTimeMs": 1000,
        "connectAttemptCount": 5,
        "waitAfterFailedAttemptsMs": 3000,
        "attributes": [],
        "timeseries": [block | {"functionCode": 3, "maxRegistersPerRequest": 125}],
        "attributeUpdates": [],
        "rpc": [],
    }


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
        start=_node_red,
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
        start=_thingsboard,
    ),
)
