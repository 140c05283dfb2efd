"""Which reads fetch a meter's registers in the least time on the bus."""
