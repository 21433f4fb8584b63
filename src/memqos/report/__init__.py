"""What every face shows: typed tables, series and sentences. Nothing here prints.

A face (the command line, a page) decides where a `Table` goes; how a value of a column reads
is decided once, in `table`.
"""
