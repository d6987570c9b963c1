"""Other programs' formats: corpora to documents, documents to pairs, and back."""
