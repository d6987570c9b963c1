"""Models in other tools: spaCy, Presidio, Label Studio, Hugging Face."""
