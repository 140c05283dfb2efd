"""pymodbus and paho as a tutorial uses them: a task a meter reads once a second and publishes the words.

python plain_pymodbus.py FIRST_PORT METERS REGISTERS BROKER_PORT
"""

import asyncio
import json
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from pymodbus.client import AsyncModbusTcpClient


async def poll(port: int, registers: int, broker: mqtt.Client) -> None:
    """Read one meter for ever."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port)
    await client.connect()
    while True:
        reply = await client.read_holding_registers(0, count=registers, device_id=1)
        if not reply.isError():
            broker.publish(f"bench/m{port}", json.dumps({"v": reply.registers}), qos=1)
        await asyncio.sleep(1)


async def main() -> None:
    """Read all meters."""
    first, meters, registers, broker_port = map(int, sys.argv[1:])
    broker = mqtt.Client(CallbackAPIVersion.VERSION2)
    broker.connect("127.0.0.1", broker_port)
    broker.loop_start()
    await asyncio.gather(*(poll(port, registers, broker) for port in range(first, first + meters)))


asyncio.run(main())
