"""The engine: a workflow body as a pure function from events to commands.

It has no clock, no randomness, no threads and no I/O; what it needs of these arrives as an
argument. Live execution, recovery, checks of new code and time travel all run this code.
"""
