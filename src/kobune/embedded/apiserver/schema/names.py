"""Names, labels, annotations: what texts Kubernetes accepts, and its messages about those it does not.

Owns: the predicates of apimachinery's validation package. Each returns the messages of what is wrong; empty is fine.
"""

import re

__all__ = [
    "is_dns1035_label",
    "is_dns1123_label",
    "is_dns1123_subdomain",
    "is_label_value",
    "is_port_name",
    "is_port_number",
    "is_qualified_name",
    "path_segment",
]

_LABEL_RX = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN_RX = _LABEL_RX + r"(\." + _LABEL_RX + ")*"
_1035_RX = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED_RX = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL = re.compile(_LABEL_RX)
_SUBDOMAIN = re.compile(_SUBDOMAIN_RX)
_1035 = re.compile(_1035_RX)
_QUALIFIED = re.compile(_QUALIFIED_RX)
_PORT_NAME = re.compile("[-a-z0-9]+")

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN_RX}')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    f"with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL_RX}')"
)
_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    f"and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '{_1035_RX}')"
)
_QUALIFIED_TEXT = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED_RX}')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} bytes"


def is_dns1123_subdomain(text: str) -> list[str]:
    """A DNS subdomain: most names."""
    wrong = [] if len(text.encode()) <= 253 else [_too_long(253)]
    return wrong if _SUBDOMAIN.fullmatch(text) else [*wrong, _SUBDOMAIN_TEXT]


def is_dns1123_label(text: str) -> list[str]:
    """A DNS label that may start with a digit: namespaces, containers."""
    wrong = [] if len(text.encode()) <= 63 else [_too_long(63)]
    if _LABEL.fullmatch(text):
        return wrong
    return [*wrong, "must not contain dots" if _SUBDOMAIN.fullmatch(text) else _LABEL_TEXT][-2:]


def is_dns1035_label(text: str) -> list[str]:
    """A DNS label that starts with a letter: services."""
    wrong = [] if len(text.encode()) <= 63 else [_too_long(63)]
    return wrong if _1035.fullmatch(text) else [*wrong, _1035_TEXT]


def is_qualified_name(text: str) -> list[str]:
    """`name` or `prefix/name`: keys of labels and annotations, conditions, resources."""
    parts = text.split("/")
    wrong: list[str] = []
    if len(parts) == 2:
        if not parts[0]:
            wrong.append("prefix part must be non-empty")
        else:
            wrong.extend(f"prefix part {m}" for m in is_dns1123_subdomain(parts[0]))
    elif len(parts) > 2:
        return [
            f"a qualified name {_QUALIFIED_TEXT} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    name = parts[-1]
    if not name:
        wrong.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        wrong.append(f"name part {_too_long(63)}")
    if not _QUALIFIED.fullmatch(name):
        wrong.append(f"name part {_QUALIFIED_TEXT}")
    return wrong


def is_label_value(text: str) -> list[str]:
    """The value of a label."""
    wrong = [] if len(text.encode()) <= 63 else [_too_long(63)]
    if text and not _QUALIFIED.fullmatch(text):
        wrong.append(_VALUE_TEXT)
    return wrong


def path_segment(text: str) -> list[str]:
    """A name that may be anything which is one segment of a URL: roles, CRD-free names."""
    if text in (".", ".."):
        return [f"may not be '{text}'"]
    return [f"may not contain '{c}'" for c in ("/", "%") if c in text]


def is_port_number(port: int) -> list[str]:
    """A TCP or UDP port."""
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]


def is_port_name(text: str) -> list[str]:
    """An IANA service name."""
    wrong = [] if len(text) <= 15 else ["must be no more than 15 characters"]
    if not _PORT_NAME.fullmatch(text):
        wrong.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        wrong.append("must contain at least one letter (a-z)")
    if "--" in text:
        wrong.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        wrong.append("must not begin or end with a hyphen")
    return wrong
