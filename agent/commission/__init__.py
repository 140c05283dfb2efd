"""Tools at the meters, for who puts them into operation; nothing here runs in the daemon."""
