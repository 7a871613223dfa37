"""From a YAML file to a Recipe: load.py reads it; its neighbours turn what is wrong into issues with place and advice."""
