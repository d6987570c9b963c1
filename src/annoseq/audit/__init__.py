"""Label errors in annotated pairs: cross-validated predictions, suspected errors, corrections."""
