"""Numbers that describe a load. Arithmetic only: no clock, no file, no window."""
