"""Inference: annotators, predictors, and streams of annotations."""
