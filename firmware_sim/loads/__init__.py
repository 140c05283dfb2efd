"""Loads: what consumes or generates behind a meter. Each is a pure function of seed and time."""

from firmware_sim.loads.base import Load
from firmware_sim.loads.building import Constant, Heater, Lift, Lighting, Office
from firmware_sim.loads.computing import BaseStation, DataHall, Servers
from firmware_sim.loads.machinery import ColdStore, Motor, Process, Pump
from firmware_sim.loads.mining import MinerFarm
from firmware_sim.loads.recording import Recording
from firmware_sim.loads.solar import Pv

KINDS: dict[str, type[Load]] = {
    "office": Office,
    "lighting": Lighting,
    "lift": Lift,
    "heater": Heater,
    "constant": Constant,
    "data_hall": DataHall,
    "servers": Servers,
    "base_station": BaseStation,
    "miner_farm": MinerFarm,
    "cold_store": ColdStore,
    "motor": Motor,
    "pump": Pump,
    "process": Process,
    "pv": Pv,
    "recording": Recording,
}

__all__ = ["KINDS", "Load"]
