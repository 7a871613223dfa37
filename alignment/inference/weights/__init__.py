"""Weight sync: transfer of weights from trainer to engine, and checking it."""
