"""The HTTP face: the API, live events and webhooks, behind one guard. docs/http-api.md describes it."""
