"""The compiled half of the simulated kernel: functions over arrays and scalars, no objects.

Every function takes the machine `m` (`mem.Mem`, a tuple of arrays) first. They run compiled by
numba, or as plain Python when `NUMBA_DISABLE_JIT=1`, with the same results to the byte.
"""
