"""Folders of any number of texts: parts, their manifest, and engines that map parts."""
