"""Tables in and out, markup and spans, the pair doctor, splits, the sample corpus."""
