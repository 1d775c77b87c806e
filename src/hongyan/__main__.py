"""`python -m hongyan` is the command `hongyan`."""

from hongyan.cli import main

main()
