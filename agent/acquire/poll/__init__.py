"""All meters on one tick: deadlines, rests, back-off, statistics."""
