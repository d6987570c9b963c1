"""Neural networks: span taggers and sequence-to-sequence models, their layers and serialization.

Shape letters: B rows of a batch, S source tokens, T target tokens (or tokens of a tagger), V target
vocabulary, E embedding width, H hidden width, L layers (or labels of a tagger), K tags, D levels of
nesting (or the width of vectors), N spans, W distinct tokens.
"""
