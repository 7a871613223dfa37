"""Training: the stage kinds (kinds/), running them (stages/), and RL on top of TRL (rl/). Only this room imports TRL."""
