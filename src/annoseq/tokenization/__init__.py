"""Tokenizers, vocabularies, datasets, lexicon features and batches."""
