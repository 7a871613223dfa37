"""Which of two policies answers better, by a judge: plan.py, job.py (samples), judging.py, figures.py."""
