"""What Kubernetes takes for a name (k8s.io/apimachinery/pkg/util/validation).

Names become directory names below the cgroup root, so nothing else may get there.
"""

from __future__ import annotations

import re
from typing import Final

_LABEL = "[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"

LABEL: Final = re.compile(_LABEL)
"""A DNS-1123 label: containers, namespaces; at most 63 characters."""

SUBDOMAIN: Final = re.compile(
    rf"(?=.{{1,253}}\Z){_LABEL.replace('{0,61}', '*')}(?:\.{_LABEL.replace('{0,61}', '*')})*"
)
"""A DNS-1123 subdomain: pods, PriorityClasses; at most 253 characters."""

UID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,62}")
"""A uid that can be part of a cgroup's name: no "/" and no "_" (pkg/kubelet/cm, `CgroupName`)."""

LABEL_RULE: Final = (
    "use at most 63 lower case letters, digits and -, beginning and ending with one of the first two"
)
NAME_RULE: Final = (
    "use at most 253 lower case letters, digits, - and ., beginning and ending with one of the first two"
)
