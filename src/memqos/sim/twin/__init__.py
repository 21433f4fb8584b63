"""The slow twins: the simulated kernels once more, in the plainest Python there is.

They share no code with `kernels`: pages are objects, lists are lists, sums are summed anew each time.
`tests/unit/sim/test_twin.py` holds each to its compiled kernel over random operations. Their world is small
on purpose: no readahead, disks that answer at once (a write ends when the pass of reclaim that sent it does),
one CPU, one page a file, a node whose own memory never runs short.

`world` has what the kernels share: charges and what tasks do, upon `reclaim` (the walk over the cgroups,
protection) and `swap`. `classic` is 6.1's two lists, `generations` the multi-generational LRU of 6.12 and
7.2, upon `aging`, `tables` (accessed bits) and `placement`.
"""
