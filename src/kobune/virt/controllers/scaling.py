"""What replica sets and pools share: selectors as text."""

from kobune.api.meta import LabelSelector

__all__ = ["selector_text"]


def selector_text(selector: LabelSelector) -> str:
    """A selector as clients write it on the command line, for the scale subresource."""
    parts = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    for item in selector.match_expressions:
        values = ",".join(sorted(item.values))
        parts.append(
            {
                "In": f"{item.key} in ({values})",
                "NotIn": f"{item.key} notin ({values})",
                "Exists": item.key,
                "DoesNotExist": f"!{item.key}",
            }.get(item.operator, item.key)
        )
    return ",".join(parts)
