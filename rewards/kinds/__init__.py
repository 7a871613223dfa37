"""The kinds of reward that ship: one file or folder each, which holds its verifier, its audit table and its gold answer.

registry.py lists them by name. docs/rewards.md says what such a file looks like.
"""
