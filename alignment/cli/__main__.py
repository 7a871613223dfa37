"""`python -m alignment.cli`: the console script where it is not on the path."""

from alignment.cli import main

main()
