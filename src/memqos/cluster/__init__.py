"""Pods as Kubernetes knows them: from manifest files, from a kubelet, and their places in the tree.

`manifest` reads YAML and JSON manifests, `kubelet_pods` a kubelet's `/pods` or an API PodList,
`placement` finds each pod's cgroup and its containers'.
"""
