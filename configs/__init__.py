"""Data that ships with flatwatt: meter profiles, scenarios, examples. No code."""
