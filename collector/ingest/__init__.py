"""From the broker to the database: receive, verify, commit, and only then acknowledge."""
