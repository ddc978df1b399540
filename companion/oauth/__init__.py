"""OAuth: obtain, store and renew the access tokens of MCP servers.

Pure: `discovery`, `protocol` and `answers` build requests and validate responses; `grants` decides
when a token is due for renewal. Effects: `grant_store` keeps grants, `web` sends HTTPS requests,
`callback` receives the browser's redirect. There are two ways to a token: `authorize` asks the
user, `renew` does not.
"""
