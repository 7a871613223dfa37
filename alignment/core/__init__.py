"""What every room may use: errors, files, this machine, progress, statistics. Imports nothing of the project."""
