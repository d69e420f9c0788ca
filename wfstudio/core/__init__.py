"""The headless core: what all faces of the studio read and do, once.

No typer, rich, starlette, uvicorn, watchfiles in here, and nothing of the user's code: a face is a
thin layer over `client.Client`, and shows the JSON of `views`.
"""
