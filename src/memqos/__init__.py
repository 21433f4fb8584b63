"""memqos: memory QoS for Kubernetes and Linux nodes.

One policy code decides what each pod may hold; it runs on a real kernel
(`memqos.linux`), on a simulated one, and on a recorded past. `ARCHITECTURE.md`
draws the house. Importing this package loads nothing but this line of text.
"""

__version__ = "0.1.0.dev0"
