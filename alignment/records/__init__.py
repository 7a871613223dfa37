"""What a run records: one frozen class per file on disk, with `write` and a tolerant `read`."""
