"""Tasks of lm-evaluation-harness (`lm_eval:NAME`): names.py looks at their declarations, task.py reads and grades them."""
