"""One physical bus: bytes out, bytes in, and what of them may be believed."""
