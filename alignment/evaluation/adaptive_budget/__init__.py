"""A thinking budget for each prompt, learned from a sweep."""
