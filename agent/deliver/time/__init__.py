"""How far the time in records is to be trusted, and what is told where it was wrong."""
