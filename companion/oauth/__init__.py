"""OAuth: obtain, store and renew the access tokens of MCP servers and of the user's accounts.

Pure: `discovery`, `protocol` and `answers` build requests and validate responses; `grants` decides
when a token is due for renewal; `id_token` verifies who logged in. Effects: `grant_store` keeps
grants, `web` sends HTTPS requests, `callback` receives the browser's redirect. There are three ways
to a token: `authorize` asks the user for an MCP server and `chatgpt` for their ChatGPT plan;
`renew` asks nobody.
"""
