"""Attention without padding: over packed rows (packed.py) and over rows that grow in slots (slots.py)."""
