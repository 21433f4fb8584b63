"""The real node: `/sys/fs/cgroup`, `/proc` and `/sys` of a Linux machine.

Text and typed values meet in `cgroupfs`, `codec`, `flat`, `keyed` and `procfs`, which do no I/O; `node`
is the `Node` that reads and writes.
"""
