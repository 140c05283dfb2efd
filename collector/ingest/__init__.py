"""From the broker to the database and back: subscribe, verify, commit, acknowledge, give receipts."""
