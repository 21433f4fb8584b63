"""What the commands and the pages show: typed tables, series and sentences. Nothing here prints.

The caller (a command, a page) decides where a `Table` goes; how a value of a column is written is decided
once, in `table`.
"""
