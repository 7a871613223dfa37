"""Labels of steps: from completions of a prefix, from execution, from a judge, and where two of them agree."""
