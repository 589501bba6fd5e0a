"""Words and decisions: pure, no I/O, no framework."""
