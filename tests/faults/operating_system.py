"""Faults of the machine that the agent runs on."""
