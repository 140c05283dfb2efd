"""What a ThingsBoard gateway asks of its platform before it publishes: limits, and attributes it has none of.

python thingsboard_platform.py BROKER_PORT
"""

import json
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

_UNLIMITED = {"messages": "0:0,", "telemetryMessages": "0:0,", "telemetryDataPoints": "0:0,"}
_LIMITS = {
    "maxPayloadSize": 65536,
    "maxInflightMessages": 100,
    "rateLimits": _UNLIMITED,
    "gatewayRateLimits": _UNLIMITED,
}


def answer(client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
    """Answer one request of the gateway."""
    topic, _, number = message.topic.rpartition("/")
    body = _LIMITS if "rpc" in topic else {}
    client.publish(f"{topic.replace('request', 'response')}/{number}", json.dumps(body), qos=1)


client = mqtt.Client(CallbackAPIVersion.VERSION2)
client.on_message = answer
client.on_connect = lambda client, *_: client.subscribe(
    [("v1/devices/me/rpc/request/+", 1), ("v1/devices/me/attributes/request/+", 1)]
)
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
