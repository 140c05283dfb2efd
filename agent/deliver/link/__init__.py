"""The way to the broker and back: which record goes when, the connection, the receipts."""
