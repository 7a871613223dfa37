"""Quantised forms of an export, by llm-compressor, in a process of its own.

forms.py says which there are · rows.py finds text to calibrate on · making.py starts job.py, reads what it left back, and says
how far its logits are · job.py is the process that imports llm-compressor.
"""
