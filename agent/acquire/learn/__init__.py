"""What a meter refuses, learned once and remembered."""
