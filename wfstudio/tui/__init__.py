"""The terminal studio, `wf tui`: the same runs, words and actions as the other faces, in a terminal.

    app          the application: which screen is shown, and what all of them share
    attachment   the world that is looked at, and the server beside it; no textual in it
    resources    which screens there are, by the names that `:` takes
    studio_screen  what every screen is; screens/ has one of them a module, widgets/ what they are made of

Modules without textual are pure and tried by themselves; widgets hold no logic. Everything that users wrote
is made harmless by `text.printable` and given to textual as text, never as markup.
"""
