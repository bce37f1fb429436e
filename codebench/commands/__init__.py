"""What the commands do. One module a command; `codebench/cli.py` only reads the words."""
