"""Tables, pairs and examples: reading and writing, markup, alignment, splits."""
