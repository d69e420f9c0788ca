"""Scaffolding: projects from templates, and workflows and steps for a project that is there. Headless.

What is to be written is planned first, so that it can be shown, refused or changed; then it is
written whole or not at all (`writing`). Nothing here asks anybody, and nothing prints.
"""
