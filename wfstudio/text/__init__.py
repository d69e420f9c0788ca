"""Drawing with characters: what the command line and the terminal studio share.

    Pen             what lines are drawn with: how wide, with which signs, in colour or not
    draw_…(pen, …)  a view as lines; colours are ANSI's `ESC [ n m … ESC [ 0 m`, and nothing else steers a terminal
    printable       what users' programs wrote, made safe to show

No typer, textual or rich in here, no command line and no stream.
"""
