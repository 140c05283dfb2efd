"""What an auditor holds in hand: an evidence file that proves itself, and the check of it, offline."""
