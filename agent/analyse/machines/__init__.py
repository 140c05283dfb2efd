"""What the seconds tell of mining machines: each reboots now and then, alone, and comes back slowly."""
