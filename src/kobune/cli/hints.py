"""What to do about an error that the API or the configuration gave. Pure."""

import re
from typing import Final

from kobune.base.errors import KobuneError

__all__ = ["explained"]


def explained(error: KobuneError) -> str:
    """The error's text and, where one is known, the way out on a second line."""
    hint = _hint(error)
    return f"{error}\n{hint}" if hint else str(error)


def _hint(error: KobuneError) -> str:
    # By name: a command that never speaks to a server must not import the client for an error it cannot get.
    kind, code, text = type(error).__name__, getattr(error, "code", None), str(error)
    if kind == "ConfigError":
        is_missing = "no such file" in text.lower() and text.startswith(("cannot read kubeconfig", "KUBECONFIG="))
        return _NO_CONFIG if is_missing else ""
    if kind == "Unavailable" and code == 0:
        if "certificate verify failed" in text.lower():
            return _NOT_TRUSTED
        if getattr(error, "reason", "") == "Timeout":
            return "--request-timeout allows for more time; `kobune status` shows whether a local instance is well."
        return "Is the API server up? `kobune status` shows a local one; --kubeconfig and --context choose another."
    if kind == "Unavailable" and " does not answer: " in text and " port " in text:
        return "The guest may still boot, or nothing in it listens on that port, or its firewall is closed."
    if kind == "Unauthorized":
        return "The kubeconfig's credentials are refused: take a new one (`kobune kubeconfig` prints a local one)."
    if kind == "Forbidden":
        return _grant(text)
    if kind == "NotFound" and "neither a VirtualMachine" not in text and "virtualmachineinstance" in text.lower():
        return (
            "Only what runs has an instance: `kobune start NAME` starts a VM, `kobune why vm NAME` says what stops it."
        )
    if kind == "NotFound" and "virtualmachine" in text.lower():
        return "`kubectl get vm --all-namespaces` lists what there is; -n chooses the namespace."
    if kind == "AlreadyExists" and text.startswith("services "):
        return "Choose another --name, or remove it: kubectl delete service NAME"
    if kind == "Conflict":
        return next((hint for words, hint in _CONFLICTS if words in text), "")
    return ""


_NO_CONFIG: Final = "Start an instance with `kobune up`, or name a kubeconfig with --kubeconfig or KUBECONFIG."
_NOT_TRUSTED: Final = (
    "--certificate-authority names who vouches for this server, --tls-server-name the name in its certificate."
)
_CONFLICTS: Final = (
    ("agent", "The guest needs a running qemu-guest-agent: install and start it in the guest."),
    ("VM is already running", "`kobune why vm NAME` says how far it is; `kobune restart NAME` starts it anew."),
    ("does not support manual start", "It starts by itself: `kobune why vm NAME` says what it waits for."),
    ("VM is not running", "`kobune why vm NAME` says why; `kobune start NAME` starts it."),
    ("VMI is not started", "`kobune start NAME` starts it; `kobune why vm NAME` says what it waits for."),
    ("VMI is not running", "`kobune why vm NAME` says what it waits for."),
    ("already underway", "The request before this one is not done yet: `kobune why vm NAME` says what it waits for."),
)
"""Words of the server's messages, and the way out."""
_REFUSED: Final = re.compile(
    r'User "(?P<user>[^"]+)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]+)"'
    r'(?:.* in the namespace "(?P<ns>[^"]+)")?'
)
_ACCOUNT: Final = re.compile(r"system:serviceaccount:([^:]+:[^:]+)")


def _grant(text: str) -> str:
    """The command with which an administrator lets somebody do what was refused."""
    found = _REFUSED.search(text)
    if found is None:
        return ""
    reads = found["verb"] in ("get", "list", "watch") and "/" not in found["resource"]
    account = _ACCOUNT.fullmatch(found["user"])
    who = f"--serviceaccount={account[1]}" if account else f"--user={found['user']}"
    return (
        f"An administrator can grant it: kubectl create rolebinding NAME -n {found['ns'] or 'NAMESPACE'} "
        f"--clusterrole=kubevirt.io:{'view' if reads else 'edit'} {who}"
    )
