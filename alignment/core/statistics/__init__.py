"""Intervals and paired differences, the statistics behind every figure."""
