"""Workload programs done for real: `program` runs the phases of a `memqos.workload.spec.Workload`.

`memory` maps and touches regions, `files` reads and writes, `content` makes pages that no kernel can
take for another or for zero, `requests` is the open loop of a service, `clock` paces and stops.
"""
