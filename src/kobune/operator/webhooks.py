"""Admission webhooks and the aggregated API: how the API server finds virt-api.

The names are KubeVirt's, because refusals carry them.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

from kobune.operator.names import PART_OF, VIRT_API_SERVICE, service_account

__all__ = ["Webhook", "api_services", "webhook_configurations"]

Manifest = dict[str, Any]
SUBRESOURCES_GROUP: Final = "subresources.kubevirt.io"
SUBRESOURCES_VERSIONS: Final = ("v1", "v1alpha3")
_WRITERS: Final = ("virt-controller", "virt-handler")


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook: its path is the first word of its name."""

    name: str
    group: str
    resources: tuple[str, ...]
    operations: tuple[str, ...]
    versions: tuple[str, ...] = ("v1", "v1alpha3")
    required: bool = True
    """Whether requests fail while virt-api does not answer."""
    spares_components: bool = False
    """Kobune's own components write the status many times; asking about that would only cost time."""

    writes: bool = False
    """Whether the answer to a request that is no dry run leaves a trace elsewhere."""

    @property
    def path(self) -> str:
        """Where virt-api serves it."""
        return "/" + self.name.split(".", maxsplit=1)[0]


_CLONES: Final = ("v1beta1", "v1alpha1")
_WRITE: Final = ("CREATE", "UPDATE")
_INSTANCETYPES: Final = "instancetype.kubevirt.io"

_VALIDATING_OTHERS: Final = (
    Webhook("virtualmachinepreset-validator.kubevirt.io", "kubevirt.io", ("virtualmachineinstancepresets",), _WRITE),
    Webhook(
        "virtualmachinesnapshot-validator.snapshot.kubevirt.io",
        "snapshot.kubevirt.io",
        ("virtualmachinesnapshots",),
        _WRITE,
        ("v1beta1", "v1alpha1"),
    ),
    Webhook(
        "virtualmachinerestore-validator.snapshot.kubevirt.io",
        "snapshot.kubevirt.io",
        ("virtualmachinerestores",),
        _WRITE,
        ("v1beta1", "v1alpha1"),
    ),
    Webhook("vm-clone-validator.kubevirt.io", "clone.kubevirt.io", ("virtualmachineclones",), ("CREATE",), _CLONES),
    Webhook(
        "virtualmachineexport-validator.export.kubevirt.io",
        "export.kubevirt.io",
        ("virtualmachineexports",),
        _WRITE,
        ("v1", "v1beta1", "v1alpha1"),
    ),
    Webhook(
        "virtualmachinepool-validator.kubevirt.io",
        "pool.kubevirt.io",
        ("virtualmachinepools",),
        _WRITE,
        ("v1beta1", "v1alpha1"),
    ),
    *(
        Webhook(f"{kind}-validator.{_INSTANCETYPES}", _INSTANCETYPES, (f"{kind}s",), _WRITE, ("v1beta1",))
        for kind in (
            "virtualmachineinstancetype",
            "virtualmachineclusterinstancetype",
            "virtualmachinepreference",
            "virtualmachineclusterpreference",
        )
    ),
    Webhook(
        "migration-policy-validator.kubevirt.io",
        "migrations.kubevirt.io",
        ("migrationpolicies",),
        _WRITE,
        ("v1alpha1",),
    ),
    # Nodes must be drained while virt-api does not run.
    Webhook(
        "virt-launcher-eviction-interceptor.kubevirt.io",
        "",
        ("pods/eviction",),
        ("CREATE",),
        ("v1",),
        required=False,
        writes=True,
    ),
    # The installation itself must be writable while virt-api does not run yet.
    Webhook("kubevirt-create-validator.kubevirt.io", "kubevirt.io", ("kubevirts",), ("CREATE",), required=False),
    Webhook("kubevirt-update-validator.kubevirt.io", "kubevirt.io", ("kubevirts",), ("UPDATE",), required=False),
    Webhook("kubevirt-validator.kubevirt.io", "kubevirt.io", ("kubevirts",), ("DELETE",), required=False),
)

MUTATING: Final = (
    Webhook(
        "virtualmachines-mutator.kubevirt.io",
        "kubevirt.io",
        ("virtualmachines",),
        ("CREATE", "UPDATE"),
        spares_components=True,
    ),
    Webhook(
        "virtualmachineinstances-mutator.kubevirt.io",
        "kubevirt.io",
        ("virtualmachineinstances",),
        ("CREATE", "UPDATE"),
        spares_components=True,
    ),
    Webhook("migrations-mutator.kubevirt.io", "kubevirt.io", ("virtualmachineinstancemigrations",), ("CREATE",)),
    Webhook("vm-clone-mutator.kubevirt.io", "clone.kubevirt.io", ("virtualmachineclones",), ("CREATE",), _CLONES),
)

VALIDATING: Final = (
    Webhook(
        "virtualmachine-validator.kubevirt.io",
        "kubevirt.io",
        ("virtualmachines",),
        ("CREATE", "UPDATE"),
        spares_components=True,
    ),
    Webhook(
        "virtualmachineinstances-create-validator.kubevirt.io",
        "kubevirt.io",
        ("virtualmachineinstances",),
        ("CREATE",),
    ),
    Webhook(
        "virtualmachineinstances-update-validator.kubevirt.io",
        "kubevirt.io",
        ("virtualmachineinstances",),
        ("UPDATE",),
        spares_components=True,
    ),
    Webhook(
        "virtualmachinereplicaset-validator.kubevirt.io",
        "kubevirt.io",
        ("virtualmachineinstancereplicasets",),
        ("CREATE", "UPDATE"),
    ),
    Webhook(
        "migration-create-validator.kubevirt.io",
        "kubevirt.io",
        ("virtualmachineinstancemigrations",),
        ("CREATE",),
    ),
    Webhook(
        "migration-update-validator.kubevirt.io",
        "kubevirt.io",
        ("virtualmachineinstancemigrations",),
        ("UPDATE",),
    ),
    *_VALIDATING_OTHERS,
)


def webhook_configurations(namespace: str, ca_certificate: bytes) -> list[Manifest]:
    """The mutating and the validating configuration."""
    return [
        _configuration("MutatingWebhookConfiguration", MUTATING, namespace, ca_certificate),
        _configuration("ValidatingWebhookConfiguration", VALIDATING, namespace, ca_certificate),
    ]


def _configuration(kind: str, webhooks: tuple[Webhook, ...], namespace: str, ca_certificate: bytes) -> Manifest:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "kobune-virt-api", "labels": dict(PART_OF)},
        "webhooks": [_webhook(webhook, namespace, ca_certificate) for webhook in webhooks],
    }


def _webhook(webhook: Webhook, namespace: str, ca_certificate: bytes) -> Manifest:
    rendered: Manifest = {
        "name": webhook.name,
        "admissionReviewVersions": ["v1"],
        "sideEffects": "NoneOnDryRun" if webhook.writes else "None",
        "failurePolicy": "Fail" if webhook.required else "Ignore",
        "timeoutSeconds": 10,
        "matchPolicy": "Equivalent",
        "clientConfig": {
            "caBundle": base64.b64encode(ca_certificate).decode(),
            "service": {"name": VIRT_API_SERVICE, "namespace": namespace, "path": webhook.path, "port": 443},
        },
        "rules": [
            {
                "apiGroups": [webhook.group],
                "apiVersions": list(webhook.versions),
                "operations": list(webhook.operations),
                "resources": list(webhook.resources),
                "scope": "*",
            }
        ],
    }
    if webhook.spares_components:
        accounts = [f"system:serviceaccount:{namespace}:{service_account(item)}" for item in _WRITERS]
        expression = f'request.operation != "UPDATE" || !(request.userInfo.username in {json.dumps(accounts)})'
        rendered["matchConditions"] = [{"name": "not-by-components", "expression": expression}]
    return rendered


def api_services(namespace: str, ca_certificate: bytes) -> list[Manifest]:
    """subresources.kubevirt.io in both versions, v1 preferred."""
    return [
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"{version}.{SUBRESOURCES_GROUP}", "labels": dict(PART_OF)},
            "spec": {
                "group": SUBRESOURCES_GROUP,
                "version": version,
                "groupPriorityMinimum": 1000,
                "versionPriority": 15 - index,
                "caBundle": base64.b64encode(ca_certificate).decode(),
                "service": {"name": VIRT_API_SERVICE, "namespace": namespace, "port": 443},
            },
        }
        for index, version in enumerate(SUBRESOURCES_VERSIONS)
    ]
