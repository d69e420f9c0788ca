"""The screens of the terminal studio: one a module."""
