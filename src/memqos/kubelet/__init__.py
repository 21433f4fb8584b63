"""The kubelet's own rules: pure functions, each citing its source, each with its table of cases.

What a kubelet would write to a node for these pods (`knobs`), whom it would evict (`eviction`), and
the small rules these are made of. Behaviour is Kubernetes 1.36; what 1.34, 1.35 and 1.37 do
otherwise is chosen by `KubeletConfig.version`. Paths of sources are relative to the
kubernetes/kubernetes repository.
"""
