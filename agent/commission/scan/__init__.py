"""Finding meters on lines and networks."""
