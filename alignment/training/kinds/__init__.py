"""What each stage kind declares, one light file a kind; how it runs is in training/stages/."""
