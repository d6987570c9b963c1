"""fastText word vectors: random-access lookup, training, and initialization of embeddings."""
