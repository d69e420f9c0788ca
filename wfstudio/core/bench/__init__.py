"""The bench: a process of its own in which the user's code is replayed, looked into and tried.

The studio never imports the user's code; whoever wants to know what it would do asks a bench. `wire` is
what the two say to each other, `process` the asking side, `child` the answering one, which loads `code` and
answers with `posts` (states of a run), `frames`, `rendering` and `attempts` (steps).

1. A bench has neither world nor keys: it gets opened logs, and stored files where it is not to load the
   disk's. What the code does to the world there, it does to nothing.
2. Whatever it does (crash, hang, exit, print, answer nonsense), the asking side gets an error that says so,
   within its time, and goes on.
"""
