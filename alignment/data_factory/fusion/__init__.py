"""Thinking-mode fusion: mixes thinking and non-thinking rows and adds the flags that switch modes."""
