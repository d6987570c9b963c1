"""De-identified text: what an annotator finds is replaced by its label, a mask or a surrogate."""
