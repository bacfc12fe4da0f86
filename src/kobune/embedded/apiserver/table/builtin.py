"""Columns and rows of built-in kinds.

Owns: the table of column names per kind (a leading + means: shown with -o wide; a type other than string is written
after a colon) and the row function of each. Source: what kubectl get shows against a real cluster.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from kobune.embedded.apiserver.table.core_rows import (
    claim_row,
    config_map_row,
    endpoints_row,
    event_row,
    namespace_row,
    node_row,
    quota_row,
    secret_row,
    service_account_row,
    service_row,
    slice_row,
    volume_row,
)
from kobune.embedded.apiserver.table.other_rows import (
    api_service_row,
    attachment_row,
    binding_row,
    capacity_row,
    csi_driver_row,
    csi_node_row,
    csr_row,
    ingress_class_row,
    ingress_row,
    lease_row,
    network_policy_row,
    policy_binding_row,
    policy_row,
    priority_class_row,
    runtime_class_row,
    storage_class_row,
    webhooks_row,
)
from kobune.embedded.apiserver.table.pods import POD_COLUMNS, pod_row
from kobune.embedded.apiserver.table.workload_rows import (
    autoscaler_row,
    budget_row,
    cron_job_row,
    daemon_set_row,
    deployment_row,
    job_row,
    pod_template_row,
    replica_set_row,
    revision_row,
    stateful_set_row,
)

__all__ = ["BUILTIN"]

Row = Callable[[dict[str, Any], datetime], list[Any]]

_WIDE = ("+Containers", "+Images", "+Selector")
_BINDING = ("Name", "Role", "Age", "+Users", "+Groups", "+ServiceAccounts")
_EVENT = ("Last Seen", "Type", "Reason", "Object", "+Subobject", "+Source", "Message", "+First Seen", "+Count", "+Name")
BUILTIN: dict[str, tuple[tuple[str, ...], Row]] = {
    "Pod": (POD_COLUMNS, pod_row),
    "ConfigMap": (("Name", "Data", "Age"), config_map_row),
    "Secret": (("Name", "Type", "Data", "Age"), secret_row),
    "Service": (("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"), service_row),
    "PersistentVolumeClaim": (
        (
            "Name",
            "Status",
            "Volume",
            "Capacity",
            "Access Modes",
            "StorageClass",
            "VolumeAttributesClass",
            "Age",
            "+VolumeMode",
        ),
        claim_row,
    ),
    "PersistentVolume": (
        (
            "Name",
            "Capacity",
            "Access Modes",
            "Reclaim Policy",
            "Status",
            "Claim",
            "StorageClass",
            "VolumeAttributesClass",
            "Reason",
            "Age",
            "+VolumeMode",
        ),
        volume_row,
    ),
    "Node": (
        (
            "Name",
            "Status",
            "Roles",
            "Age",
            "Version",
            "+Internal-IP",
            "+External-IP",
            "+OS-Image",
            "+Kernel-Version",
            "+Container-Runtime",
        ),
        node_row,
    ),
    "Namespace": (("Name", "Status", "Age"), namespace_row),
    "ServiceAccount": (("Name", "Secrets", "Age"), service_account_row),
    "Endpoints": (("Name", "Endpoints", "Age"), endpoints_row),
    "EndpointSlice": (("Name", "AddressType", "Ports", "Endpoints", "Age"), slice_row),
    "Event": (_EVENT, event_row),
    "ResourceQuota": (("Name", "Request", "Limit", "Age"), quota_row),
    "Deployment": (("Name", "Ready", "Up-to-date", "Available", "Age", *_WIDE), deployment_row),
    "ReplicaSet": (("Name", "Desired:integer", "Current:integer", "Ready:integer", "Age", *_WIDE), replica_set_row),
    "ReplicationController": (
        ("Name", "Desired:integer", "Current:integer", "Ready:integer", "Age", *_WIDE),
        replica_set_row,
    ),
    "StatefulSet": (("Name", "Ready", "Age", "+Containers", "+Images"), stateful_set_row),
    "DaemonSet": (
        (
            "Name",
            "Desired:integer",
            "Current:integer",
            "Ready:integer",
            "Up-to-date:integer",
            "Available:integer",
            "Node Selector",
            "Age",
            *_WIDE,
        ),
        daemon_set_row,
    ),
    "Job": (("Name", "Status", "Completions", "Duration", "Age", *_WIDE), job_row),
    "CronJob": (
        ("Name", "Schedule", "Timezone", "Suspend:boolean", "Active:integer", "Last Schedule", "Age", *_WIDE),
        cron_job_row,
    ),
    "PodDisruptionBudget": (
        ("Name", "Min Available", "Max Unavailable", "Allowed Disruptions:integer", "Age"),
        budget_row,
    ),
    "RoleBinding": (_BINDING, binding_row),
    "ClusterRoleBinding": (_BINDING, binding_row),
    "Lease": (("Name", "Holder", "Age"), lease_row),
    "NetworkPolicy": (("Name", "Pod-Selector", "Age"), network_policy_row),
    "Ingress": (("Name", "Class", "Hosts", "Address", "Ports", "Age"), ingress_row),
    "IngressClass": (("Name", "Controller", "Parameters", "Age"), ingress_class_row),
    "StorageClass": (
        ("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"),
        storage_class_row,
    ),
    "PriorityClass": (
        ("Name", "Value:integer", "Global-Default:boolean", "Age", "PreemptionPolicy"),
        priority_class_row,
    ),
    "MutatingWebhookConfiguration": (("Name", "Webhooks:integer", "Age"), webhooks_row),
    "ValidatingWebhookConfiguration": (("Name", "Webhooks:integer", "Age"), webhooks_row),
    "ValidatingAdmissionPolicy": (("Name", "Validations:integer", "ParamKind", "Age"), policy_row),
    "ValidatingAdmissionPolicyBinding": (("Name", "PolicyName", "ParamRef", "Age"), policy_binding_row),
    "ControllerRevision": (("Name", "Controller", "Revision:integer", "Age"), revision_row),
    "APIService": (("Name", "Service", "Available", "Age"), api_service_row),
    "CertificateSigningRequest": (
        ("Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"),
        csr_row,
    ),
    "PodTemplate": (("Name", "Containers", "Images", "Pod Labels"), pod_template_row),
    "HorizontalPodAutoscaler": (
        ("Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"),
        autoscaler_row,
    ),
    "RuntimeClass": (("Name", "Handler", "Age"), runtime_class_row),
    "CSINode": (("Name", "Drivers:integer", "Age"), csi_node_row),
    "CSIDriver": (
        (
            "Name",
            "AttachRequired:boolean",
            "PodInfoOnMount:boolean",
            "StorageCapacity:boolean",
            "TokenRequests",
            "RequiresRepublish:boolean",
            "Modes",
            "Age",
        ),
        csi_driver_row,
    ),
    "VolumeAttachment": (("Name", "Attacher", "PV", "Node", "Attached:boolean", "Age"), attachment_row),
    "CSIStorageCapacity": (("Name", "StorageClassName", "Capacity"), capacity_row),
}
