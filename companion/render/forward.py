"""HAProxy rules that resolve a request's host and send the request there."""

# Malformed addresses (999.0.0.1, or 0177.0.0.1, which some parsers read as 127.0.0.1) are resolved
# as names and fail: with no address set, a request would go to the address that the agent dialed.
# Only IPv4 is resolved, and anything else is refused by its colons: HAProxy matches every IPv4
# address with ::/0, too, so never.lst cannot hold that.
TO_UPSTREAM = """\
  http-request set-var(txn.ip) var(txn.host),ipmask(32) if {{ var(txn.host) -m reg ^(0|[1-9][0-9]*)(\\.(0|[1-9][0-9]*)){{3}}$ }}
  http-request do-resolve(txn.ip,engine,ipv4) var(txn.host) unless {{ var(txn.ip) -m found }} || {{ var(txn.joined) -m found }}
  http-request set-var(txn.reason) str(unresolved)
  http-request return status 502 content-type text/plain string "gateway: this name has no address\\n" unless {{ var(txn.ip) -m found }}
  http-request set-var(txn.reason) str(private)
  http-request return status 403 content-type text/plain string "gateway: refused, this name leads to a private address\\n" if {{ var(txn.ip) -m ip -f never.lst }} !{{ var(txn.endpoint),map_str({endpoints}) -m found }}
  http-request return status 403 content-type text/plain string "gateway: refused, this is not an IPv4 address\\n" if {{ var(txn.ip) -m sub : }}
"""  # noqa: E501 - HAProxy has no line continuation

# Under heavy load only refusals are logged: a line per request would cost as much as the request.
FORWARD = """\
  http-request set-log-level silent if { fe_req_rate gt 200 }
  http-request set-dst var(txn.ip)
  http-request set-dst-port var(txn.port)
  http-request set-var(txn.reason) str(ok)
"""
