"""How does `python -m companion` start? Like the `companion` command."""

from companion.cli.main import entry

if __name__ == "__main__":
    entry()
