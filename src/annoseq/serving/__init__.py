"""HTTP service of trained models, and the security layer of every page and service."""
