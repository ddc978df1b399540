"""What agents are told of the sandbox: where to read what it may reach, and who can allow more.

Each runtime names it where its own documentation says, never in the repository, and beside the
user's own instructions.
"""

DIRECTORY = "/etc/companion"
"""Where the agent sees what it may reach; the files there change while it runs."""
NETWORK = "network.txt"
FILE = f"{DIRECTORY}/{NETWORK}"
REFUSED = f"refused by Companion, see {FILE}"
"""The subject of the certificate that a refused TLS connection gets: no host can have this name."""
TEXT = (
    f"You work in a sandbox of Companion. {FILE} lists the hosts and requests that it lets through;"
    " read it when a connection fails, a request is refused (403) or git cannot write its"
    " configuration. You cannot allow more: ask the"
    " user to run the command that stands there."
)
"""One line without quotes or anything else that shells and settings read in their own way."""
