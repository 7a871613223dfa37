"""Short writing tasks under constraints of IFEval's types that a program can check: to train on and to measure."""
