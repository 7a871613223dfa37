"""Runs the built-in stage kinds, one file each: builds a trainer, or makes rows. training/kinds/ declares them."""
