"""The dev server: a studio process that stays up, and worker processes that come and go with the code."""
