"""Table check: report of the contents and the problems of a table of pairs, row by row."""
