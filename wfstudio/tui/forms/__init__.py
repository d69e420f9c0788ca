"""Forms made from JSON Schema: `fields` says what to ask for, `drafts` what was typed, `form` how it looks.

Nothing here draws: `widgets/form.py` does.
"""
