"""Attention without padding: over rows that lie end to end (packed.py), and over rows that grow side by side (slots.py)."""
