"""Decoding: search, sampling, constrained decoding, and selection of spans."""
