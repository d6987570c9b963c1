"""The tagger: which tags to open and close around every token, in one pass over the text."""
