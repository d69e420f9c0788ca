"""The studio: what a developer sees of `wf` beside the code itself.

It stands on the public face of `wf` and is never imported by it.
"""

from __future__ import annotations

__version__ = "0.1.0.dev0"
