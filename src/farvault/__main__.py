"""`python -m farvault` is `farvault`."""

from farvault.apps.cli import main

main()
