"""Limits of what one agent can make the gateway hold, so that it fits into its memory.

They are counts. A limit of buffers (`tune.buffers.limit`) would be exact, but when HAProxy 2.6
reaches it, streams that hold buffers wait for each other forever.
"""

MEMORY = "512m"
"""What the gateway may use: each stream can hold two buffers and each connection 33."""
_CONNECTIONS, _CONNECTIONS_ANSWERED = 128, 160
"""Connections for HTTP: beyond the first number requests are refused, beyond the second all."""
_TUNNELS = 512
"""Connections that pass through."""
_STREAMS = 32
"""Requests at once on one HTTP/2 connection; clients know and wait."""
_REQUESTS = 256
"""Requests at once on all connections."""

_BUSY = "gateway: too much at once, end some requests or connections first"

GLOBAL = f"""\
  # A request's headers must fit into one buffer.
  tune.bufsize 32768
  tune.h2.max-concurrent-streams {_STREAMS}
  # The agent is on this machine: larger socket buffers would make nothing faster.
  tune.rcvbuf.client 262144
  tune.sndbuf.client 262144
"""

# Without these and SERVER, requests of clients that are gone would stay for an hour.
DEFAULTS = """\
  option abortonclose
  option clitcpka
  clitcpka-idle 30s
  clitcpka-intvl 10s
  clitcpka-cnt 3
"""

SERVER = "tcp-ut 30s"
"""Ends requests of whose body the upstream takes nothing; until then, HAProxy does not notice that
an HTTP/2 client left. HAProxy 2.6 ignores it in `default-server`, so each server repeats it."""

COUNTS = """
backend connections
  stick-table type integer size 1 store conn_cur

backend under_way
  stick-table type integer size 1 store conn_cur
"""

TUNNEL = f"  tcp-request connection reject if {{ fe_conn gt {_TUNNELS} }}\n"

CONNECTION = f"""\
  tcp-request connection track-sc1 int(1) table connections
  tcp-request connection reject if {{ sc1_conn_cur gt {_CONNECTIONS_ANSWERED} }}
"""

# Beyond that, the engine would keep a core busy with lines: it works outside the gateway's limits.
REQUEST = f"""\
  http-request set-log-level silent if {{ fe_req_rate gt 1000 }}
  http-request track-sc0 int(1) table under_way
  http-request set-var(txn.reason) str(busy)
  http-request return status 503 content-type text/plain hdr Retry-After 1 string "{_BUSY}\\n" if {{ sc0_conn_cur gt {_REQUESTS} }} or {{ sc1_conn_cur gt {_CONNECTIONS} }}
"""  # noqa: E501 - HAProxy has no line continuation
