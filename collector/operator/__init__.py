"""The operator's desk: makes a command, signs it, sends it, and waits for the gateway's reply."""
