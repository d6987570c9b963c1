"""Evaluation: scores of spans and outputs, calibration, significance, error analysis."""
