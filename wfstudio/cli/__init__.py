"""The command line: `wf`, a thin face on `wfstudio.core`.

1. `wf --help` and a wrong command load neither `wf` nor anything that draws: a command's module is
   imported when the command is named.
2. Results go to stdout, words to stderr. Exit code 1: it failed; 2: the command line is wrong.
3. What users' programs wrote is never printed with its control characters.
"""
