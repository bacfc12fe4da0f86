"""The present, as objects tell it."""

import time

__all__ = ["now"]


def now() -> str:
    """The present as metav1.Time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
