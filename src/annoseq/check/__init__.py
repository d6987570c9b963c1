"""The pair doctor: what a table of pairs holds, and what is wrong with it, row by row."""
