"""`python -m codebench`."""

from codebench.cli import main

main()
