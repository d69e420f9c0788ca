"""Bundles: one file that carries runs from one world to another. docs/bundle.md specifies the format."""
