"""What measures flatwatt: beside others, and against its own limits."""
