"""The check: what in a workflow's body would not come out the same when it is replayed.

It reads the project's files as text and syntax trees, and never imports or runs any of it. From every
workflow it follows the calls into functions, methods and classes of the project, whatever module they
are in; never into a step, which may do anything, and never outside the project.

    modules    files as syntax trees, and which file an import means
    scopes     which name means what, where
    kinds      what is known of a value without running anything
    inference, annotations
               from an expression to its kind
    roles      which functions are workflows and steps, and under which id
    walking, visiting
               one function, statement by statement, with what its variables hold: what happens there
    rules/     what is wrong with what happens, a class each; its docstring is its page in docs/rules
    checking   all of it together, from files to findings

1. A finding is certain enough to stop a build. Where something is not known, there is none.
2. Whatever is in a file, a check ends with findings and never with an exception.
"""
