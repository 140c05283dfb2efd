"""The third wing: a statement becomes bytes that nobody can alter unseen, and reaches the centre."""
