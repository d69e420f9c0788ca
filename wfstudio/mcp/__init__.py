"""The studio's actions as tools of the Model Context Protocol, for coding agents (`wf mcp`).

`tools` says which there are and carries them out, `paging` keeps answers small, `server` speaks the protocol. Only
`server` imports the SDK, which is an optional dependency (the extra `mcp`).
"""
