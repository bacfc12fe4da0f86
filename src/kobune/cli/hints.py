"""What to do about an error that the API or the configuration gave. Pure."""

from kobune.base.errors import KobuneError

__all__ = ["explained"]


def explained(error: KobuneError) -> str:
    """The error's text and, where one is known, the way out on a second line."""
    hint = _hint(error)
    return f"{error}\n{hint}" if hint else str(error)


def _hint(error: KobuneError) -> str:
    # By name: a command that never speaks to a server must not import the client for an error it cannot get.
    kind, code, text = type(error).__name__, getattr(error, "code", None), str(error)
    if kind == "ConfigError" and "no such file" in text.lower():
        return "Start an instance with `kobune up`, or name a kubeconfig with --kubeconfig or KUBECONFIG."
    if kind == "Unavailable" and code == 0:
        return "Is the API server up? `kobune status` shows a local one; --kubeconfig and --context choose another."
    if kind == "Unauthorized":
        return "The kubeconfig's credentials are refused: take a new one (`kobune kubeconfig` prints a local one)."
    if kind == "Forbidden" and "is forbidden: User" in text:
        return (
            "An administrator can grant it: kubectl create rolebinding NAME --clusterrole=kubevirt.io:edit --user=USER"
        )
    if kind == "NotFound" and "virtualmachineinstance" in text:
        return (
            "Only what runs has an instance: `kobune start NAME` starts a VM, `kobune why vm NAME` says what stops it."
        )
    if kind == "NotFound" and "virtualmachine" in text:
        return "`kubectl get vm --all-namespaces` lists what there is; -n chooses the namespace."
    if kind == "Conflict" and "agent" in text.lower():
        return "The guest needs a running qemu-guest-agent: install and start it in the guest."
    return ""
