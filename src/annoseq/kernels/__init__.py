"""Compiled kernels (numba) of the tagger's inner loops, for many texts on a CPU."""
