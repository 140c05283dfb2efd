"""What an operator may order from afar, and how the gateway does it. Nothing of it writes to a meter."""
