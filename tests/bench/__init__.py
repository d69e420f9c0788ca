"""The benchmark: `python -m tests.bench` measures the budgets of the runtime; see docs/benchmark.md.

Each figure is measured in a fresh process with a world of its own. A figure over its budget is
marked and nothing else: a timing is never asserted.
"""
