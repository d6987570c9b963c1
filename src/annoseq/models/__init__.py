"""The networks, and the contract that decoding relies on.

Shape letters: B rows of a batch, S source tokens, T target tokens, V target vocabulary,
E embedding width, H hidden width, L layers.
"""
