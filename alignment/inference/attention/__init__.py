"""Attention without padding: over packed sequences (packed.py), and over a cache of slots while decoding (slots.py)."""
