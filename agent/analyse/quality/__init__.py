"""Is the meter to be believed? Each check looks at the windows of all meters at once and says what it saw."""
