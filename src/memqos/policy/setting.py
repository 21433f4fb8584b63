"""How a setting is declared: beside its value, what it is and the reason for its default.

Each policy's settings are a frozen dataclass in the policy's own file; `memqos.policy.settings`
puts them together into the admin's `MemoryPolicy`.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any


def setting(
    default: Any,
    text: str,
    reason: str,
    *,
    unit: str = "",
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """Declare a setting: what it is, why its default is what it is, its unit, its least and its most value.

    A percentage is of something there is, so it has 100 at most where it does not say otherwise.
    """
    if unit == "percent" and most is None:
        most = 100.0
    about = {"text": text, "reason": reason, "unit": unit, "least": least, "most": most}
    if isinstance(default, type):
        return field(default_factory=default, metadata=about)
    return field(default=default, metadata=about)
