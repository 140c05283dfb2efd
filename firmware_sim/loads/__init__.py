"""Loads: what consumes or generates behind a meter. Each is a pure function of seed and time."""

from firmware_sim.loads.base import Load
from firmware_sim.loads.building import Constant, Lighting, Office
from firmware_sim.loads.computing import DataHall
from firmware_sim.loads.machinery import ColdStore, Motor
from firmware_sim.loads.mining import MinerFarm
from firmware_sim.loads.recording import Recording
from firmware_sim.loads.solar import Pv

KINDS: dict[str, type[Load]] = {
    "office": Office,
    "lighting": Lighting,
    "constant": Constant,
    "data_hall": DataHall,
    "miner_farm": MinerFarm,
    "cold_store": ColdStore,
    "motor": Motor,
    "pv": Pv,
    "recording": Recording,
}

__all__ = ["KINDS", "Load"]
