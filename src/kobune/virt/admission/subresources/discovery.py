"""What subresources.kubevirt.io offers, as the API server's clients discover it."""

import platform
from importlib.metadata import version
from typing import Any, Final

from kobune.virt.admission.subresources.table import MACHINE_VERBS, INSTANCE_VERBS  # isort: skip

__all__ = ["GROUP", "VERSIONS", "api_group", "api_resources", "version_info"]

GROUP: Final = "subresources.kubevirt.io"
VERSIONS: Final = ("v1", "v1alpha3")


def api_group() -> dict[str, Any]:
    """APIGroup."""
    versions = [{"groupVersion": f"{GROUP}/{item}", "version": item} for item in VERSIONS]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": versions,
        "preferredVersion": versions[0],
    }


def api_resources(group_version: str) -> dict[str, Any]:
    """APIResourceList."""
    names = [f"virtualmachines/{verb.path}" for verb in MACHINE_VERBS if verb.listed]
    names += [f"virtualmachineinstances/{verb.path}" for verb in INSTANCE_VERBS if verb.listed]
    names.append("expand-vm-spec")
    resources = [
        {"name": name, "singularName": "", "namespaced": True, "kind": "", "verbs": []} for name in sorted(names)
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def version_info() -> dict[str, Any]:
    """The release, in the shape that KubeVirt's clients read."""
    release = version("kobune")
    return {
        "gitVersion": f"v{release}",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": f"python {platform.python_version()}",
        "platform": f"linux/{'amd64' if platform.machine() == 'x86_64' else platform.machine()}",
    }
