"""The simulator's own reader of ``configs/meters/*.toml``.

The agent has another one on purpose: a mistake in either shows as a wrong value in the tests,
instead of cancelling out.
"""

import functools
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from firmware_sim.errors import SimError
from firmware_sim.fields import did_you_mean

METERS = Path(__file__).resolve().parents[1] / "configs" / "meters"

_BITS = {"u16": 16, "i16": 16, "u32": 32, "i32": 32, "u64": 64, "i64": 64, "f32": 32, "f64": 64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One register of the map: where it lies and how a value becomes words."""

    name: str
    function: int
    address: int
    dtype: str
    order: str
    scale: float = 1.0
    absent: tuple[int, ...] = ()
    multiply_by: tuple[str, ...] = ()
    exponent_from: str = ""
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Length in 16-bit registers."""
        return _BITS[self.dtype] // 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Words of the map that never change and mean no quantity, such as the mark of SunSpec."""

    function: int
    address: int
    data: bytes

    @property
    def count(self) -> int:
        """Length in 16-bit registers."""
        return len(self.data) // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A register map and the limits of the meter that has it.

    ``max_gap`` is None where no source says whether unlisted registers answer. Of a profile with
    ``sunspec`` models the addresses count from the model's first register, wherever that lies.
    """

    name: str
    phases: int
    entries: tuple[Entry, ...]
    parameters: tuple[Entry, ...] = ()
    fixed: tuple[Fixed, ...] = ()
    identity: dict[str, float] = field(default_factory=dict)
    maker: str = ""
    model: str = ""
    sunspec: tuple[int, ...] = ()
    max_registers: int = 125
    max_gap: int | None = None
    even_blocks: bool = False
    single: tuple[str, ...] = ()
    forbidden: tuple[tuple[int, int], ...] = ()
    min_gap_ms: float = 0.0


def find(name: str, folder: Path) -> Path:
    """Give the file of a profile: a name of ``configs/meters``, or a path that ends in ``.toml``."""
    file = folder / name if name.endswith(".toml") else METERS / f"{name}.toml"
    if not file.is_file():
        known = sorted(path.stem for path in METERS.glob("*.toml"))
        raise SimError(f"{name!r}: no such profile; known are {', '.join(known)}{did_you_mean(name, known)}")
    return file


@functools.lru_cache(maxsize=64)
def read_profile(file: Path) -> Profile:
    """Read a profile; raise SimError where the simulator cannot use it."""
    try:
        document = tomllib.loads(file.read_text("utf-8"))
        defaults, limits = document.get("defaults", {}), document.get("limits", {})
        return Profile(
            name=file.stem,
            maker=document["meter"].get("maker", ""),
            model=document["meter"].get("model", ""),
            phases=document["meter"]["phases"],
            entries=tuple(_entry(name, defaults | raw) for name, raw in document["registers"].items()),
            parameters=tuple(_entry(name, defaults | raw) for name, raw in document.get("parameters", {}).items()),
            identity={name: values[0] for name, values in document.get("identity", {}).items()},
            sunspec=tuple(document.get("sunspec", {}).get("models", ())),
            max_registers=limits.get("max_registers", 125),
            max_gap=limits.get("max_gap"),
            even_blocks=limits.get("even_blocks", False),
            single=tuple(limits.get("single", ())),
            forbidden=tuple((first, last) for first, last in limits.get("forbidden", ())),
            min_gap_ms=float(limits.get("min_gap_ms", 0.0)),
        )
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SimError(f"{file}: cannot be read: {error}") from None
    except KeyError as error:
        raise SimError(f"{file}: {error.args[0]}: missing; see the other profiles in configs/meters") from None
    except (ValueError, TypeError, AttributeError, IndexError) as error:
        raise SimError(f"{file}: {error}") from None


def _entry(name: str, raw: dict[str, Any]) -> Entry:
    entry = Entry(
        name=name,
        function=raw["function"],
        address=raw["address"],
        dtype=raw["dtype"],
        order=raw["order"],
        scale=raw.get("scale", 1.0),
        absent=tuple(raw.get("absent", ())),
        multiply_by=tuple(raw.get("multiply_by", ())),
        exponent_from=raw.get("exponent_from", ""),
        plus=tuple(raw.get("plus", ())),
        minus=tuple(raw.get("minus", ())),
    )
    if entry.dtype not in _BITS:
        raise ValueError(f"{name}: dtype {entry.dtype!r}: expected one of {', '.join(_BITS)}")
    if sorted(entry.order) != list("ABCDEFGH"[: entry.count * 2]):
        raise ValueError(f"{name}: order {entry.order!r} does not name each of the {entry.count * 2} bytes once")
    return entry
