"""The life of pods without a kubelet: what is started when, started again, and taken away.

Knows no world: `memqos.linux.runner` runs pods on this machine, `memqos.sim.pods` on a simulated one.
`Runner` makes the kubepods tree as a kubelet with the cgroupfs driver would, writes the kubelet's values
at every level, starts each container in its cgroup, restarts it as restartPolicy says, counts how it
ended, and takes everything away again.
"""
