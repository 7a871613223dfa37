"""Thinking-mode fusion: an SFT set of both modes, with the flags that switch between them."""
