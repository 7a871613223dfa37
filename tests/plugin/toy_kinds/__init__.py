"""Stage kinds of another package, as an author outside this project would write them. docs/stages.md shows shorten.py."""
