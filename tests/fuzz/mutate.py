"""Makes wrong inputs out of right ones, by a seed: flipped bytes, other types, numbers at the edge of their kind."""

import json
from random import Random
from typing import Any

EDGES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**40, 1e308, -1e-308, 0.1, "", "\0", "a" * 70,
    "../x", "#", "+", "é", "\ud800", [], {}, [[]], {"": None}, [0] * 40, "NaN", "2026-01-01",
)  # fmt: skip
_NOISE = 12  # bytes put in at once: enough to break any field, few enough to leave the rest


def mutated(rng: Random, data: bytes) -> bytes:
    """Change some bytes: flip, cut, insert, repeat, overwrite."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0 if data:
                at %= len(data)
                data = data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]
            case 1:
                data = data[:at] if rng.random() < 0.5 else data[at:]
            case 2:
                data = data[:at] + rng.randbytes(rng.randrange(1, _NOISE)) + data[at:]
            case 3:
                end = rng.randrange(at, len(data) + 1)
                data = data[:end] + data[at:end] + data[end:]
            case _:
                noise = rng.randbytes(rng.randrange(1, _NOISE))
                data = data[:at] + noise + data[at + len(noise) :]
    return data


def mutated_json(rng: Random, payload: bytes) -> bytes:
    """Change one value, key or level of a JSON object, or some bytes of its text."""
    if rng.random() < 0.3:
        return mutated(rng, payload)
    message = json.loads(payload)
    holder, key = _place(rng, message)
    match rng.randrange(6):
        case 0:
            del holder[key]
        case 1:
            holder[key] = _deep(rng.choice((10, 100, 3000)))
        case 2 if isinstance(holder, dict):
            holder[str(rng.choice(EDGES))] = holder.pop(key)
        case 3 if isinstance(holder[key], int | float):
            holder[key] += rng.choice((-1, 1, 900, -900, 0.5, 2**40))
        case _:
            holder[key] = rng.choice(EDGES)
    return _text(message)


def _place(rng: Random, value: Any) -> tuple[Any, Any]:
    """Choose any place of a JSON value: its container and the key in it."""
    holder, key = value, rng.choice(list(value))
    while isinstance(holder[key], dict | list) and holder[key] and rng.random() < 0.7:
        holder = holder[key]
        key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    return holder, key


def _deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels // 10):  # json.dumps itself recurses; what it cannot write is written below
        value = [value]
    return value if levels < 1000 else f"<deep {levels}>"


def _text(message: Any) -> bytes:
    text = json.dumps(message)
    return text.replace('"<deep 3000>"', "[" * 3000 + "]" * 3000).encode("utf-8", "surrogatepass")
