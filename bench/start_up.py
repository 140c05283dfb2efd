"""From the start of ``flatwatt run`` to the first Modbus request on the wire, seen from outside."""

import socket
import tempfile
import time
from pathlib import Path

from bench.peers.facility import Facility
from bench.peers.programs import FLATWATT
from tests.broker import mosquitto


def start_up_s(times: int, meters: int) -> list[float]:
    """Start the agent some times, each with a state of its own; give the seconds, the quickest first.

    It polls on whole seconds, so up to one of them is waiting for the tick.
    """
    found = []
    for _ in range(times):
        with tempfile.TemporaryDirectory() as name, mosquitto(Path(name)) as broker:
            found.append(_once(Path(name) / "program", meters, int(broker.url.rpartition(":")[2])))
    return sorted(found)


def _once(folder: Path, meters: int, broker_port: int) -> float:
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as first:
        first.settimeout(20)
        port = first.getsockname()[1]
        facility = Facility(first_port=port, meters=meters, broker_port=broker_port, installed=folder, folder=folder)
        began_s = time.perf_counter()
        (agent,) = FLATWATT.start(facility)
        try:
            connection, _ = first.accept()
            with connection:
                connection.settimeout(20)
                request = connection.recv(12)
                took_s = time.perf_counter() - began_s
        finally:
            agent.kill()
            agent.wait()
    if request[7:8] not in (b"\x03", b"\x04"):
        raise SystemExit(f"the first bytes on the bus are no Modbus read: {request.hex()}")
    return took_s
