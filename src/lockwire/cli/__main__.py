"""`python -m lockwire.cli`, the same as the command `lockwire`."""

from lockwire.cli import main

main()
