"""The roles that administrators give to people: KubeVirt's, aggregated into Kubernetes' admin, edit and view.

What each may do is KubeVirt's: `view` reads and asks what the guest agent tells, `edit` also changes, gets into guests
and uses their power buttons, `admin` also deletes collections. Migrating a machine has a role of its own.
"""

from typing import Any, Final

from kobune.operator.names import PART_OF
from kobune.operator.rules import RBAC, READ, Manifest, Rule, cluster_role, rule

__all__ = ["people_roles"]

CHANGE: Final = (*READ, "create", "update", "patch", "delete")
EVERYTHING: Final = (*CHANGE, "deletecollection")
SUBRESOURCES: Final = "subresources.kubevirt.io"

_INSTANCE_ACTIONS: Final = (
    "pause",
    "unpause",
    "softreboot",
    "reset",
    "freeze",
    "unfreeze",
    "addvolume",
    "removevolume",
    "backup",
    "redefine-checkpoint",
    "evacuate/cancel",
    "sev/setupsession",
    "sev/injectlaunchsecret",
)
_INSTANCE_STREAMS: Final = ("console", "vnc", "vnc/screenshot", "portforward", "usbredir")
_INSTANCE_FACTS: Final = (
    "guestosinfo",
    "userlist",
    "filesystemlist",
    "objectgraph",
    "sev/fetchcertchain",
    "sev/querylaunchmeasurement",
)
_MACHINE_ACTIONS: Final = (
    "start",
    "stop",
    "restart",
    "addvolume",
    "removevolume",
    "memorydump",
    "removememorydump",
    "evacuate/cancel",
)
_MACHINE_FACTS: Final = ("expand-spec", "objectgraph")

_KINDS: Final = (
    (
        "kubevirt.io",
        (
            "virtualmachines",
            "virtualmachineinstances",
            "virtualmachineinstancepresets",
            "virtualmachineinstancereplicasets",
        ),
    ),
    (
        "snapshot.kubevirt.io",
        ("virtualmachinesnapshots", "virtualmachinesnapshotcontents", "virtualmachinerestores"),
    ),
    ("export.kubevirt.io", ("virtualmachineexports",)),
    ("clone.kubevirt.io", ("virtualmachineclones",)),
    (
        "instancetype.kubevirt.io",
        (
            "virtualmachineinstancetypes",
            "virtualmachineclusterinstancetypes",
            "virtualmachinepreferences",
            "virtualmachineclusterpreferences",
        ),
    ),
    ("pool.kubevirt.io", ("virtualmachinepools", "virtualmachinepools/scale")),
    (
        "cdi.kubevirt.io",
        (
            "datavolumes",
            "dataimportcrons",
            "datasources",
            "volumeimportsources",
            "volumeuploadsources",
            "volumeclonesources",
        ),
    ),
)
_ONLY_READ: Final = (
    ("kubevirt.io", ("virtualmachineinstancemigrations",)),
    ("migrations.kubevirt.io", ("migrationpolicies",)),
)


def people_roles() -> list[Manifest]:
    """The roles, and the binding of the one that everybody has."""
    return [
        cluster_role("kubevirt.io:admin", _writer(EVERYTHING), "admin"),
        cluster_role("kubevirt.io:edit", _writer(CHANGE), "edit"),
        cluster_role("kubevirt.io:view", _reader(), "view"),
        cluster_role("kubevirt.io:migrate", _migrator()),
        cluster_role("kubevirt.io:operator", (rule("kubevirt.io", ("kubevirts",), EVERYTHING),), "admin"),
        cluster_role("kubevirt.io:default", _anybody()),
        _everybody_has("kubevirt.io:default"),
    ]


def _writer(verbs: tuple[str, ...]) -> tuple[Rule, ...]:
    scales = ("virtualmachineinstancereplicasets/scale",)
    return (
        rule(SUBRESOURCES, _of("virtualmachineinstances", *_INSTANCE_STREAMS, *_INSTANCE_FACTS), ("get",)),
        rule(SUBRESOURCES, _of("virtualmachineinstances", *_INSTANCE_ACTIONS), ("update",)),
        rule(SUBRESOURCES, _of("virtualmachines", *_MACHINE_FACTS, "portforward"), ("get",)),
        rule(SUBRESOURCES, _of("virtualmachines", *_MACHINE_ACTIONS), ("update",)),
        rule(SUBRESOURCES, ("expand-vm-spec",), ("update",)),
        *(rule(group, resources, verbs) for group, resources in _KINDS),
        rule("kubevirt.io", scales, ("get", "update", "patch")),
        rule("cdi.kubevirt.io", ("datavolumes/source",), ("create",)),
        rule("upload.cdi.kubevirt.io", ("uploadtokenrequests",), ("create",)),
        *(rule(group, resources, READ) for group, resources in _ONLY_READ),
    )


def _reader() -> tuple[Rule, ...]:
    return (
        rule(SUBRESOURCES, _of("virtualmachineinstances", *_INSTANCE_FACTS), ("get",)),
        rule(SUBRESOURCES, _of("virtualmachines", *_MACHINE_FACTS), ("get",)),
        rule(SUBRESOURCES, ("expand-vm-spec",), ("update",)),
        *(rule(group, resources, READ) for group, resources in (*_KINDS, *_ONLY_READ)),
    )


def _migrator() -> tuple[Rule, ...]:
    return (
        rule(SUBRESOURCES, _of("virtualmachines", "migrate"), ("update",)),
        rule("kubevirt.io", ("virtualmachineinstancemigrations",), EVERYTHING),
    )


def _anybody() -> tuple[Rule, ...]:
    return (
        rule(SUBRESOURCES, ("version", "guestfs", "healthz"), ("get", "list")),
        rule(
            "instancetype.kubevirt.io", ("virtualmachineclusterinstancetypes", "virtualmachineclusterpreferences"), READ
        ),
    )


def _of(resource: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{resource}/{name}" for name in names)


def _everybody_has(name: str) -> Manifest:
    group: dict[str, Any] = {"apiGroup": RBAC, "kind": "Group", "name": "system:authenticated"}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": dict(PART_OF)},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [group],
    }
