"""Faults of chat data and chat templates, found before they are trained on.

cases.py      a row to look at, and how a file of conversations becomes rows
findings.py   Finding, Intent: what was found, and what the recipe meant
text_faults.py, turn_faults.py, tool_faults.py    what a row shows as it stands; no tokenizer, so `check` runs them
views.py      a row as tokens, with what carries loss
loss_faults.py, template_faults.py                what only tokens and templates show
linter.py     the tables of faults, and what runs them; terminal.py and core/page.py show what came of it
"""
