"""Flatwatt's edge agent: from the registers of a power meter to a signed statement about its load."""

__version__ = "0.1.0"
