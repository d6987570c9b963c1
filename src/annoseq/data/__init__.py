"""Tables in and out, markup and spans, splits, the sample corpus."""
