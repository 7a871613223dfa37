"""Chat templates and what they write: turns, the switch between modes, the token that ends a turn."""
