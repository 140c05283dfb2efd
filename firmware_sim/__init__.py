"""Simulated meters with the register maps of real models. Shares no code with the agent: see its register encoder."""
