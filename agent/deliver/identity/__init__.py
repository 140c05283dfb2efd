"""Who this gateway is: its key, its certificate, and whom it trusts."""
