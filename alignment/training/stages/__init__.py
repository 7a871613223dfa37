"""How each stage kind runs, one file a kind: its trainer or its rows. What a kind declares is in training/kinds/."""
