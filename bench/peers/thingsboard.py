"""The ThingsBoard gateway: a block of registers for each meter, and what it asks of its platform."""

import json
import subprocess
import sys

from bench.peers.facility import HERE, ONE_THREAD, REGISTERS, Facility, run


def start(facility: Facility) -> list[subprocess.Popen[bytes]]:
    """Start it with its platform; the first process is the one to measure."""
    (facility.folder / "data").mkdir()
    config = facility.folder / "config"
    config.mkdir()
    (config / "tb_gateway.json").write_text(json.dumps(_gateway(facility)))
    slaves = [_meter(port) for port in facility.ports]
    connector = {"name": "Modbus", "logLevel": "ERROR", "master": {"slaves": slaves}, "slave": None}
    (config / "modbus.json").write_text(json.dumps(connector))
    platform = run(facility, sys.executable, HERE / "thingsboard_platform.py", str(facility.broker_port))
    env = ONE_THREAD | {"TB_GW_CONFIG_DIR": str(config)}
    return [run(facility, facility.installed / "thingsboard/bin/thingsboard-gateway", env=env), platform]


def _gateway(facility: Facility) -> dict[str, object]:
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


def _meter(port: int) -> dict[str, object]:
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
