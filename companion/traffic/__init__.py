"""Traffic: what passed the gateway and what it refused, as its log tells."""
