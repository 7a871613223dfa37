"""What a policy talks to while it is sampled: one answer and done, tools that are executed, or another package's kind."""
