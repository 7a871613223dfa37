"""Weight transfer from trainer to engine, and the check that it arrived."""
