"""How a model's scores become an output. Knows nothing about networks or text."""
