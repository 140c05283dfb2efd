"""Where the records lie."""
