"""The loop: observe, decide, enforce, keep a record; and what must survive the loop's end.

`loop` turns, `enforce` writes, `originals` remembers what to go back to and `restore` goes back,
`evict` tells pods to go, `lock` keeps agents apart, `journal` records, `replay` plays a record back,
`config` reads the admin's MemoryPolicy.
"""
