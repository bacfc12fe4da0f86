"""Plain counters of a process, for benchmarks and tests; whoever exports them reads `values`."""

from collections import Counter

__all__ = ["Metrics"]


class Metrics:
    """Counts by (name, label): reconciles by controller, writes by verb and resource, failures by controller."""

    def __init__(self) -> None:
        self.values: Counter[tuple[str, str]] = Counter()

    def count(self, name: str, label: str = "", amount: int = 1) -> None:
        """Add to one counter."""
        self.values[name, label] += amount

    def total(self, name: str) -> int:
        """The sum over all labels of a name."""
        return sum(amount for (counted, _), amount in self.values.items() if counted == name)
