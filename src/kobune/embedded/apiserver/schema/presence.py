"""Which fields of built-in kinds are printed though empty, and which empty ones disappear.

Owns: what OpenAPI does not say. The real server's types distinguish "absent" from "zero" only where the field is a
pointer; elsewhere an optional zero value vanishes, and a nested value type is printed as {} even when nobody gave
it. Both are visible to clients (in what they read back and in who owns a field). Names are `Type.field` with the last
part of the definition's name. Source: the published API types' serialisation, and recordings.
"""

__all__ = ["ALWAYS", "NULL_TIMES", "drops_zero"]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_VALUE_BOOLS = _names(
    """
    Container.stdin Container.stdinOnce Container.tty EphemeralContainer.stdin EphemeralContainer.stdinOnce
    EphemeralContainer.tty DeploymentSpec.paused PodSpec.hostNetwork PodSpec.hostPID PodSpec.hostIPC
    NodeSpec.unschedulable ServiceSpec.publishNotReadyAddresses PriorityClass.globalDefault VolumeMount.readOnly
    VolumeMountStatus.readOnly SubjectAccessReviewStatus.denied TokenReviewStatus.authenticated
    APIServiceSpec.insecureSkipTLSVerify CustomResourceDefinitionSpec.preserveUnknownFields
    CustomResourceDefinitionVersion.deprecated JSONSchemaProps.exclusiveMaximum JSONSchemaProps.exclusiveMinimum
    JSONSchemaProps.nullable JSONSchemaProps.uniqueItems JSONSchemaProps.x-kubernetes-embedded-resource
    JSONSchemaProps.x-kubernetes-int-or-string
    """
)
_VALUE_INTS = _names(
    """
    Condition.observedGeneration CustomResourceColumnDefinition.priority ObjectMeta.generation
    ValidatingAdmissionPolicyStatus.observedGeneration Event.count EventSeries.count Event.deprecatedCount
    ContainerPort.hostPort ContainerImage.sizeBytes ContainerStateTerminated.signal PodCondition.observedGeneration
    PodStatus.observedGeneration ServicePort.nodePort ServiceSpec.healthCheckNodePort
    PodDisruptionBudgetStatus.observedGeneration HorizontalPodAutoscalerStatus.currentReplicas ScaleSpec.replicas
    JobStatus.active JobStatus.failed JobStatus.succeeded Probe.initialDelaySeconds Probe.timeoutSeconds
    Probe.periodSeconds Probe.successThreshold Probe.failureThreshold
    """
)
_VALUE_INT_TYPES = ("DaemonSetStatus", "DeploymentStatus", "ReplicaSetStatus", "StatefulSetStatus")
_POINTER_STRINGS = _names(
    """
    CustomResourceDefinitionVersion.deprecationWarning ValidationRule.reason Preconditions.uid
    Preconditions.resourceVersion DeleteOptions.propagationPolicy ServiceReference.path WebhookClientConfig.url
    MatchResources.matchPolicy MutatingWebhook.failurePolicy MutatingWebhook.matchPolicy
    MutatingWebhook.reinvocationPolicy ValidatingWebhook.failurePolicy ValidatingWebhook.matchPolicy
    NamedRuleWithOperations.scope RuleWithOperations.scope ParamRef.parameterNotFoundAction
    ValidatingAdmissionPolicySpec.failurePolicy Validation.reason HPAScalingRules.selectPolicy CronJobSpec.timeZone
    JobSpec.completionMode JobSpec.managedBy JobSpec.podReplacementPolicy JobStatus.failedIndexes
    PodFailurePolicyOnExitCodesRequirement.containerName SuccessPolicyRule.succeededIndexes LeaseSpec.holderIdentity
    LeaseSpec.preferredHolder LeaseSpec.strategy AppArmorProfile.localhostProfile AzureDiskVolumeSource.cachingMode
    AzureDiskVolumeSource.fsType AzureFilePersistentVolumeSource.secretNamespace CSIVolumeSource.fsType
    ClusterTrustBundleProjection.name ClusterTrustBundleProjection.signerName Container.restartPolicy
    EphemeralContainer.restartPolicy ContainerStatus.stopSignal EndpointAddress.nodeName EndpointPort.appProtocol
    GRPCAction.service GlusterfsPersistentVolumeSource.endpointsNamespace HostPathVolumeSource.type
    ISCSIPersistentVolumeSource.initiatorName ISCSIVolumeSource.initiatorName Lifecycle.stopSignal
    LoadBalancerIngress.ipMode LocalVolumeSource.fsType PersistentVolumeClaimSpec.storageClassName
    PersistentVolumeClaimSpec.volumeAttributesClassName PersistentVolumeClaimSpec.volumeMode
    PersistentVolumeClaimStatus.currentVolumeAttributesClassName PersistentVolumeSpec.volumeAttributesClassName
    PersistentVolumeSpec.volumeMode PodDNSConfigOption.value PodResourceClaim.resourceClaimName
    PodResourceClaim.resourceClaimTemplateName PodResourceClaimStatus.resourceClaimName
    PodSecurityContext.fsGroupChangePolicy PodSecurityContext.seLinuxChangePolicy
    PodSecurityContext.supplementalGroupsPolicy PodSpec.hostnameOverride PodSpec.preemptionPolicy
    PodSpec.runtimeClassName PortStatus.error SeccompProfile.localhostProfile SecurityContext.procMount
    ServicePort.appProtocol ServiceSpec.internalTrafficPolicy ServiceSpec.ipFamilyPolicy
    ServiceSpec.loadBalancerClass ServiceSpec.trafficDistribution TopologySpreadConstraint.nodeAffinityPolicy
    TopologySpreadConstraint.nodeTaintsPolicy TypedLocalObjectReference.apiGroup TypedObjectReference.apiGroup
    TypedObjectReference.namespace VolumeMount.mountPropagation VolumeMount.recursiveReadOnly
    VolumeMountStatus.recursiveReadOnly WindowsSecurityContextOptions.gmsaCredentialSpec
    WindowsSecurityContextOptions.gmsaCredentialSpecName WindowsSecurityContextOptions.runAsUserName
    Endpoint.hostname Endpoint.nodeName Endpoint.zone EndpointPort.name EndpointPort.protocol
    IngressClassParametersReference.apiGroup IngressClassParametersReference.namespace
    IngressClassParametersReference.scope IngressPortStatus.error IngressSpec.ingressClassName
    NetworkPolicyPort.protocol PodDisruptionBudgetSpec.unhealthyPodEvictionPolicy PriorityClass.preemptionPolicy
    CSIDriverSpec.fsGroupPolicy StorageClass.reclaimPolicy StorageClass.volumeBindingMode
    VolumeAttachmentSource.persistentVolumeName JSONSchemaProps.$ref CustomResourceSubresourceScale.labelSelectorPath
    JSONSchemaProps.x-kubernetes-list-type JSONSchemaProps.x-kubernetes-map-type
    """
)


def drops_zero(type_name: str, field: str, json_type: str) -> bool:
    """Whether an optional field of that JSON type vanishes when it is false, 0 or empty text."""
    name = f"{type_name}.{field}"
    if json_type == "boolean":
        return name in _VALUE_BOOLS or field == "readOnly"
    if json_type == "integer":
        return (
            name in _VALUE_INTS
            or field == "minReadySeconds"
            or (type_name.startswith(_VALUE_INT_TYPES) and field not in ("collisionCount", "terminatingReplicas"))
        )
    return name not in _POINTER_STRINGS


ALWAYS: dict[str, tuple[str, ...]] = {
    "PodTemplateSpec": ("metadata", "spec"),
    "JobTemplateSpec": ("metadata", "spec"),
    "PersistentVolumeClaimTemplate": ("metadata", "spec"),
    "PodTemplate": ("template",),
    "Container": ("resources",),
    "EphemeralContainer": ("resources",),
    "DeploymentSpec": ("strategy",),
    "DaemonSetSpec": ("updateStrategy",),
    "StatefulSetSpec": ("updateStrategy",),
    "ReplicaSetSpec": ("template",),
    "PersistentVolumeClaimSpec": ("resources",),
    "ServiceStatus": ("loadBalancer",),
    "IngressStatus": ("loadBalancer",),
    "ContainerStatus": ("state", "lastState"),
    "NodeStatus": ("daemonEndpoints", "nodeInfo"),
    "NodeDaemonEndpoints": ("kubeletEndpoint",),
    "Event": ("source", "deprecatedSource", "regarding"),
    "Role": ("rules",),
    "ClusterRole": ("rules",),
    "ResourceFieldSelector": ("divisor",),
    "TokenReviewStatus": ("user",),
    "Endpoint": ("conditions",),
    "NetworkPolicySpec": ("podSelector",),
}
"""Value-typed members that are printed as {} though nobody gave them, besides every kind's metadata, spec, status."""

NULL_TIMES: dict[str, tuple[str, ...]] = {
    "PodCondition": ("lastProbeTime", "lastTransitionTime"),
    "NodeCondition": ("lastHeartbeatTime", "lastTransitionTime"),
    "PersistentVolumeClaimCondition": ("lastProbeTime", "lastTransitionTime"),
    "DeploymentCondition": ("lastUpdateTime", "lastTransitionTime"),
    "DaemonSetCondition": ("lastTransitionTime",),
    "ReplicaSetCondition": ("lastTransitionTime",),
    "StatefulSetCondition": ("lastTransitionTime",),
    "NamespaceCondition": ("lastTransitionTime",),
    "JobCondition": ("lastProbeTime", "lastTransitionTime"),
    "APIServiceCondition": ("lastTransitionTime",),
    "CustomResourceDefinitionCondition": ("lastTransitionTime",),
    "CertificateSigningRequestCondition": ("lastTransitionTime", "lastUpdateTime"),
    "ContainerStateRunning": ("startedAt",),
    "ContainerStateTerminated": ("startedAt", "finishedAt"),
    "Event": (
        "eventTime",
        "firstTimestamp",
        "lastTimestamp",
        "deprecatedFirstTimestamp",
        "deprecatedLastTimestamp",
    ),
}
"""Value-typed times: printed as null while unset."""
