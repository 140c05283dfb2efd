"""The evidence and what is derived from it: SQLite, one writer, any number of readers."""
