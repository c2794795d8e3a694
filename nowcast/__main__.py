"""`python -m nowcast`: the command line, also under torchrun."""

from nowcast.cli import main

main()
