"""How does the gateway come to the access token of an MCP server? All of OAuth is in here.

Pure: `discovery`, `protocol` and `answers` say what is asked and what answers mean, `grants` when
something is to be done. The world: `store` keeps grants, `web` asks servers, `callback` hears the
browser. Two ways lead to a token: `authorise` asks the user, `renew` does not.
"""
