"""Finds faults in chat data and chat templates before a stage trains on them.

cases.py      a row to inspect, and reading a file of conversations
findings.py   Finding (one fault) and Intent (what the recipe means to train)
text_faults.py, turn_faults.py, tool_faults.py    faults of the messages; need no tokenizer, so `check` looks for them
views.py      a row as tokens, with the loss mask
loss_faults.py, template_faults.py                faults of the rendered row and of the template
linter.py     the tables of faults, and running them; terminal.py and page.py print the results
"""
