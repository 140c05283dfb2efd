"""Faults as people write them: made on the fly, and told."""

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from firmware_sim.errors import SimError
from firmware_sim.faults import KINDS
from firmware_sim.faults.base import Fault
from firmware_sim.fields import Context, did_you_mean, keys_of, read_table


def new_fault(kind: str, keys: Mapping[str, object], now_s: float) -> Fault:
    """Make a fault that begins now, unless it says otherwise; durations count from now. Raises SimError.

    >>> new_fault("delay", {"delay_s": 3, "until": "1m"}, 1000.0)
    Delay(from_s=1000.0, until_s=1060.0, share=1.0, delay_s=3.0, random_s=0.0)
    """
    if kind not in KINDS:
        raise SimError(f"{kind!r}: expected one of {', '.join(KINDS)}{did_you_mean(kind, KINDS)}")
    complaints: list[str] = []
    context = Context(now_s, Path(), begins_s=now_s)
    values = read_table(dict(keys), KINDS[kind], kind, context, complaints)
    if complaints:
        raise SimError(complaints)
    return KINDS[kind](**({"from_s": now_s, "until_s": math.inf} | values))


def told(fault: Fault) -> str:
    """Give the kind of a fault, and those of its keys that are not as usual.

    >>> told(new_fault("delay", {"delay_s": 3, "until": "1m"}, 0.0))
    'delay from=1970-01-01T00:00:00Z until=1970-01-01T00:01:00Z delay_s=3.0'
    """
    words = [kind for kind, made in KINDS.items() if type(fault) is made]
    for key, field in keys_of(type(fault)).items():
        value = getattr(fault, field.name)
        if field.default is dataclasses.MISSING or value != field.default:
            words.append(f"{key}={_written(key, value)}")
    return " ".join(words)


def _written(key: str, value: object) -> str:
    if key in ("from", "until") and isinstance(value, float):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(value, separators=(",", ":")) if isinstance(value, tuple) else str(value)
