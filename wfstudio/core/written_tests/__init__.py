"""Test files: from a recorded run to what a person would write to hold code against it.

    generation  what is asked for, and the whole of it
    places      where the test lies, what it imports, and how it finds it
    locating    which name of which module a workflow, a step or a class is
    literals    recorded values as Python code
    layout      code in lines, as a formatter leaves it
    composing   the text of the test
    redaction   what of a history is made unrecognizable
    retelling   the same run told anew, by the code itself, from redacted values

1. The run's code is never imported here. What needs it (a replay, a run told anew) is asked of a bench.
2. What is written passes at once, or is not written: a history that does not replay is refused, with the reason.
3. Nothing is overwritten unless it is asked for.
"""
