"""Checks of the recipe's model by its files: what they are, what an adapter, new tokens, a template or a teacher need of them."""
