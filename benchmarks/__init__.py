"""Benchmarks: each prints a table and keeps its last results as Markdown beside it."""
