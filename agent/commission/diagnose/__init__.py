"""What values and answers say about wiring, profile and bus: arithmetic."""
