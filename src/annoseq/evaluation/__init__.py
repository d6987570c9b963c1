"""Scores, and predictions over a whole set."""
