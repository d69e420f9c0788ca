"""`python -m wfstudio`: the same as `wf`."""

from __future__ import annotations

import sys

from wfstudio.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
