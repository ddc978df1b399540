"""A server inside a sandbox, as an agent starts one, and what the desktop sees of it."""

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sandboxes import Box, wait_until

SERVER = """
use IO::Socket::INET;
my $listener = IO::Socket::INET->new(
  LocalAddr => $ARGV[0], LocalPort => $ARGV[1], Listen => 9, ReuseAddr => 1) or die;
while (my $caller = $listener->accept) {
  while (<$caller>) { last if /^\\r?\\n$/ }
  print $caller "HTTP/1.0 200 OK\\r\\n\\r\\nfrom inside";
  close $caller;
}
"""


@contextmanager
def serving(box: Box, port: int, address: str = "127.0.0.1") -> Iterator[None]:
    """Run a server inside while the body runs."""
    server = box.start("exec", "coder", "--", "perl", "-e", SERVER, address, str(port))
    try:
        wait_until(lambda: port in box.companion("port", "--json").ok().data["listening"])
        yield
    finally:
        box.ssh(f"pkill -f 'LocalAddr.*{port}'")
        server.wait(30)


def fetched(port: int) -> str:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as got:
        return str(got.read().decode())
    return ""
