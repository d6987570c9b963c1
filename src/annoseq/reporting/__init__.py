"""Reports: evaluation results as one HTML file that works offline."""
