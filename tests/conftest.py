"""What holds for every test: no setting of the developer's own, no deadline in a property test."""

from __future__ import annotations

import os

from hypothesis import settings

for _name in [name for name in os.environ if name.startswith(("WF_", "OTEL_"))]:
    del os.environ[_name]

# Examples may be slow on a shared machine; a timing is never asserted. In CI the examples are the
# same every time, and a failure prints what reproduces it.
settings.register_profile("wf", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI")))
settings.load_profile("wf")
