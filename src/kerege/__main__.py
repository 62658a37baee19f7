"""`python -m kerege` is the `kerege` command."""

from kerege.cli import main

main()
