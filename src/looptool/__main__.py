"""`python -m looptool`."""

from looptool.cli import main

main()
