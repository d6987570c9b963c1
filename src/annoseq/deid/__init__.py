"""De-identification: redaction of documents, surrogates, and the leak check."""
