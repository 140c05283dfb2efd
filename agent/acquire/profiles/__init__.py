"""Register maps as data, and a checker that teaches."""
