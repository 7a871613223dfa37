"""The family `general_tasks`: 25 small tasks of general RL in the five groups of the Qwen3 report, for models of any size.

Each task is a maker in a file of its group; all.py lists them and draws them in turn. Neighbours: ../families.py (draws
distinct problems), data/sources/general-tasks.yaml (the source).
"""
