"""Benchmarks: `python -m tests.bench NAME --json`. Speed is stated as a ratio to something measured in the same run,
and never fails a test."""
