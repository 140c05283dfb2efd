"""The central team's side: stores, verifies, acknowledges, and shows the fleet."""
