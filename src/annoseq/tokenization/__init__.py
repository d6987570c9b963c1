"""Tokens with offsets, vocabularies, datasets, and batches of like length."""
