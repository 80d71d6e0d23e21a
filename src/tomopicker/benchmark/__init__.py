"""Benchmark of pickers: a protocol, methods, resumable runs, and a report of their metrics."""
