"""The honest evaluation of the judgement: farms injected into real loads, replayed blind."""
