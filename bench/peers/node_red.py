"""Node-RED with contrib-modbus: a flow with three nodes for each meter."""

import json
import subprocess

from bench.peers.facility import REGISTERS, Facility, run


def start(facility: Facility) -> list[subprocess.Popen[bytes]]:
    """Start it; the first process is the one to measure."""
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
        flow += _meter(port)
    (facility.folder / "flows.json").write_text(json.dumps(flow))
    settings = {"flowFile": "flows.json", "httpAdminRoot": False, "httpNodeRoot": False, "credentialSecret": "bench"}
    settings |= {"telemetry": {"enabled": False, "updateNotification": False}}
    settings |= {"logging": {"console": {"level": "warn", "metrics": False, "audit": False}}}
    (facility.folder / "settings.js").write_text(f"module.exports = {json.dumps(settings)}")
    node, red = facility.installed / "node/bin/node", facility.installed / "node_red/node_modules/node-red/red.js"
    return [run(facility, node, red, "--userDir", facility.folder, "-s", facility.folder / "settings.js")]


def _meter(port: int) -> list[dict[str, object]]:
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
