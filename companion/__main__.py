"""`python -m companion`: the same as the `companion` command."""

from companion.cli.main import entry

if __name__ == "__main__":
    entry()
