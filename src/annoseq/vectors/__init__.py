"""Word vectors of fastText: read a few rows at a time, trained, and filled into embeddings."""
