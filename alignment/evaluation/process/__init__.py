"""What process reward models are worth: the first wrong step, calibration, stress, and the best of several answers."""
