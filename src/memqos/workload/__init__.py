"""What a workload program does to memory and files, exactly, and for the kernel and the simulator alike.

`spec` is the data, `parse` reads it from YAML, `steps` unrolls it; `draws` defines every random page
number (a slow, plain twin), `vector` draws the same numbers with numpy; `result` is the record that
a phase leaves, `histogram` its latencies. Real memory is in `memqos.linux.workload`.
"""
