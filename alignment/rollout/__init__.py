"""Sampling: engine.py is the seam, vllm_local.py and transformers_engine.py stand behind it, thinking.py adds budgets."""
