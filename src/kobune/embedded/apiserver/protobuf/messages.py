"""Field numbers of the messages that typed clients send when they create things.

One line per message: NAME: FIELD=NUMBER:TYPE ... where TYPE is string, int, bool, bytes or another message, with `*`
for a repeated field, `{}` for a map from text, `^` for a message whose fields belong to the outer object. Source: the
names and numbers published with the Kubernetes API. What is not here is refused, never dropped.
"""

from functools import cache
from typing import NamedTuple

__all__ = ["ROOTS", "Field", "fields"]

ROOTS = {
    ("v1", "Namespace"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", "ServiceAccount"),
    ("v1", "Service"),
    ("v1", "Pod"),
    ("v1", "Binding"),
    ("v1", "Event"),
    ("v1", "ResourceQuota"),
    ("v1", "DeleteOptions"),
    ("meta.k8s.io/v1", "DeleteOptions"),
    ("apps/v1", "Deployment"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("policy/v1", "PodDisruptionBudget"),
    ("policy/v1", "Eviction"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("networking.k8s.io/v1", "Ingress"),
    ("coordination.k8s.io/v1", "Lease"),
    ("rbac.authorization.k8s.io/v1", "Role"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("certificates.k8s.io/v1", "CertificateSigningRequest"),
    ("authentication.k8s.io/v1", "TokenRequest"),
    ("authentication.k8s.io/v1", "TokenReview"),
    ("authentication.k8s.io/v1", "SelfSubjectReview"),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"),
    ("authorization.k8s.io/v1", "SubjectAccessReview"),
    ("authorization.k8s.io/v1", "LocalSubjectAccessReview"),
}

_TABLE = """
ObjectMeta: name=1:string generateName=2:string namespace=3:string selfLink=4:string uid=5:string
 resourceVersion=6:string generation=7:int creationTimestamp=8:Time deletionTimestamp=9:Time
 deletionGracePeriodSeconds=10:int labels=11:string{} annotations=12:string{} ownerReferences=13:OwnerReference*
 finalizers=14:string* managedFields=17:ManagedFieldsEntry*
ManagedFieldsEntry: manager=1:string operation=2:string apiVersion=3:string time=4:Time fieldsType=6:string
 fieldsV1=7:FieldsV1 subresource=8:string
OwnerReference: kind=1:string name=3:string uid=4:string apiVersion=5:string controller=6:bool
 blockOwnerDeletion=7:bool
DeleteOptions: gracePeriodSeconds=1:int preconditions=2:Preconditions orphanDependents=3:bool
 propagationPolicy=4:string dryRun=5:string*
Preconditions: uid=1:string resourceVersion=2:string
LabelSelector: matchLabels=1:string{} matchExpressions=2:LabelSelectorRequirement*
LabelSelectorRequirement: key=1:string operator=2:string values=3:string*
Namespace: metadata=1:ObjectMeta spec=2:NamespaceSpec status=3:NamespaceStatus
NamespaceSpec: finalizers=1:string*
NamespaceStatus: phase=1:string
ConfigMap: metadata=1:ObjectMeta data=2:string{} binaryData=3:bytes{} immutable=4:bool
Secret: metadata=1:ObjectMeta data=2:bytes{} type=3:string stringData=4:string{} immutable=5:bool
ServiceAccount: metadata=1:ObjectMeta secrets=2:ObjectReference* imagePullSecrets=3:LocalObjectReference*
 automountServiceAccountToken=4:bool
ObjectReference: kind=1:string namespace=2:string name=3:string uid=4:string apiVersion=5:string
 resourceVersion=6:string fieldPath=7:string
LocalObjectReference: name=1:string
Binding: metadata=1:ObjectMeta target=2:ObjectReference
Event: metadata=1:ObjectMeta involvedObject=2:ObjectReference reason=3:string message=4:string source=5:EventSource
 firstTimestamp=6:Time lastTimestamp=7:Time count=8:int type=9:string eventTime=10:MicroTime series=11:EventSeries
 action=12:string related=13:ObjectReference reportingComponent=14:string reportingInstance=15:string
EventSource: component=1:string host=2:string
EventSeries: count=1:int lastObservedTime=2:MicroTime
ResourceQuota: metadata=1:ObjectMeta spec=2:ResourceQuotaSpec status=3:ResourceQuotaStatus
ResourceQuotaSpec: hard=1:Quantity{} scopes=2:string*
ResourceQuotaStatus: hard=1:Quantity{} used=2:Quantity{}
Service: metadata=1:ObjectMeta spec=2:ServiceSpec status=3:ServiceStatus
ServiceStatus: loadBalancer=1:Empty
ServiceSpec: ports=1:ServicePort* selector=2:string{} clusterIP=3:string type=4:string externalIPs=5:string*
 sessionAffinity=7:string loadBalancerIP=8:string loadBalancerSourceRanges=9:string* externalName=10:string
 externalTrafficPolicy=11:string healthCheckNodePort=12:int publishNotReadyAddresses=13:bool ipFamilyPolicy=17:string
 clusterIPs=18:string* ipFamilies=19:string* allocateLoadBalancerNodePorts=20:bool loadBalancerClass=21:string
 internalTrafficPolicy=22:string
ServicePort: name=1:string protocol=2:string port=3:int targetPort=4:IntOrString nodePort=5:int appProtocol=6:string
Pod: metadata=1:ObjectMeta spec=2:PodSpec status=3:Empty
PodTemplateSpec: metadata=1:ObjectMeta spec=2:PodSpec
PodSpec: volumes=1:Volume* containers=2:Container* restartPolicy=3:string terminationGracePeriodSeconds=4:int
 activeDeadlineSeconds=5:int dnsPolicy=6:string nodeSelector=7:string{} serviceAccountName=8:string
 serviceAccount=9:string nodeName=10:string hostNetwork=11:bool hostPID=12:bool hostIPC=13:bool
 securityContext=14:PodSecurityContext imagePullSecrets=15:LocalObjectReference* hostname=16:string subdomain=17:string
 schedulerName=19:string initContainers=20:Container* automountServiceAccountToken=21:bool priorityClassName=24:string
 priority=25:int shareProcessNamespace=27:bool enableServiceLinks=30:bool preemptionPolicy=31:string
PodSecurityContext: runAsUser=2:int runAsNonRoot=3:bool supplementalGroups=4:int* fsGroup=5:int runAsGroup=6:int
Container: name=1:string image=2:string command=3:string* args=4:string* workingDir=5:string ports=6:ContainerPort*
 env=7:EnvVar* resources=8:ResourceRequirements volumeMounts=9:VolumeMount* terminationMessagePath=13:string
 imagePullPolicy=14:string stdin=16:bool stdinOnce=17:bool tty=18:bool terminationMessagePolicy=20:string
ContainerPort: name=1:string hostPort=2:int containerPort=3:int protocol=4:string hostIP=5:string
EnvVar: name=1:string value=2:string
ResourceRequirements: limits=1:Quantity{} requests=2:Quantity{}
VolumeMount: name=1:string readOnly=2:bool mountPath=3:string subPath=4:string
Volume: name=1:string volumeSource=2:VolumeSource^
VolumeSource: hostPath=1:HostPath emptyDir=2:EmptyDir secret=6:SecretVolume persistentVolumeClaim=10:ClaimVolume
 configMap=19:ConfigMapVolume
HostPath: path=1:string type=2:string
EmptyDir: medium=1:string sizeLimit=2:Quantity
SecretVolume: secretName=1:string items=2:KeyToPath* defaultMode=3:int optional=4:bool
ClaimVolume: claimName=1:string readOnly=2:bool
ConfigMapVolume: reference=1:LocalObjectReference^ items=2:KeyToPath* defaultMode=3:int optional=4:bool
KeyToPath: key=1:string path=2:string mode=3:int
Deployment: metadata=1:ObjectMeta spec=2:DeploymentSpec status=3:Empty
DeploymentSpec: replicas=1:int selector=2:LabelSelector template=3:PodTemplateSpec strategy=4:DeploymentStrategy
 minReadySeconds=5:int revisionHistoryLimit=6:int paused=7:bool progressDeadlineSeconds=9:int
DeploymentStrategy: type=1:string rollingUpdate=2:RollingUpdate
RollingUpdate: maxUnavailable=1:IntOrString maxSurge=2:IntOrString
Job: metadata=1:ObjectMeta spec=2:JobSpec status=3:Empty
JobSpec: parallelism=1:int completions=2:int activeDeadlineSeconds=3:int selector=4:LabelSelector manualSelector=5:bool
 template=6:PodTemplateSpec backoffLimit=7:int ttlSecondsAfterFinished=8:int completionMode=9:string suspend=10:bool
CronJob: metadata=1:ObjectMeta spec=2:CronJobSpec status=3:Empty
CronJobSpec: schedule=1:string startingDeadlineSeconds=2:int concurrencyPolicy=3:string suspend=4:bool
 jobTemplate=5:JobTemplateSpec successfulJobsHistoryLimit=6:int failedJobsHistoryLimit=7:int timeZone=8:string
JobTemplateSpec: metadata=1:ObjectMeta spec=2:JobSpec
HorizontalPodAutoscaler: metadata=1:ObjectMeta spec=2:HorizontalPodAutoscalerSpec status=3:Empty
HorizontalPodAutoscalerSpec: scaleTargetRef=1:CrossVersionObjectReference minReplicas=2:int maxReplicas=3:int
 metrics=4:MetricSpec*
CrossVersionObjectReference: kind=1:string name=2:string apiVersion=3:string
MetricSpec: type=1:string resource=4:ResourceMetricSource
ResourceMetricSource: name=1:string target=2:MetricTarget
MetricTarget: type=1:string value=2:Quantity averageValue=3:Quantity averageUtilization=4:int
PodDisruptionBudget: metadata=1:ObjectMeta spec=2:PodDisruptionBudgetSpec status=3:Empty
PodDisruptionBudgetSpec: minAvailable=1:IntOrString selector=2:LabelSelector maxUnavailable=3:IntOrString
 unhealthyPodEvictionPolicy=4:string
Eviction: metadata=1:ObjectMeta deleteOptions=2:DeleteOptions
PriorityClass: metadata=1:ObjectMeta value=2:int globalDefault=3:bool description=4:string preemptionPolicy=5:string
Ingress: metadata=1:ObjectMeta spec=2:IngressSpec status=3:Empty
IngressSpec: defaultBackend=1:IngressBackend tls=2:IngressTLS* rules=3:IngressRule* ingressClassName=4:string
IngressTLS: hosts=1:string* secretName=2:string
IngressRule: host=1:string value=2:IngressRuleValue^
IngressRuleValue: http=1:HTTPIngressRuleValue
HTTPIngressRuleValue: paths=1:HTTPIngressPath*
HTTPIngressPath: path=1:string backend=2:IngressBackend pathType=3:string
IngressBackend: resource=3:TypedLocalObjectReference service=4:IngressServiceBackend
TypedLocalObjectReference: apiGroup=1:string kind=2:string name=3:string
IngressServiceBackend: name=1:string port=2:ServiceBackendPort
ServiceBackendPort: name=1:string number=2:int
Lease: metadata=1:ObjectMeta spec=2:LeaseSpec
LeaseSpec: holderIdentity=1:string leaseDurationSeconds=2:int acquireTime=3:MicroTime renewTime=4:MicroTime
 leaseTransitions=5:int
Role: metadata=1:ObjectMeta rules=2:PolicyRule*
ClusterRole: metadata=1:ObjectMeta rules=2:PolicyRule* aggregationRule=3:AggregationRule
AggregationRule: clusterRoleSelectors=1:LabelSelector*
PolicyRule: verbs=1:string* apiGroups=2:string* resources=3:string* resourceNames=4:string* nonResourceURLs=5:string*
RoleBinding: metadata=1:ObjectMeta subjects=2:Subject* roleRef=3:RoleRef
ClusterRoleBinding: metadata=1:ObjectMeta subjects=2:Subject* roleRef=3:RoleRef
Subject: kind=1:string apiGroup=2:string name=3:string namespace=4:string
RoleRef: apiGroup=1:string kind=2:string name=3:string
CertificateSigningRequest: metadata=1:ObjectMeta spec=2:CertificateSigningRequestSpec
 status=3:CertificateSigningRequestStatus
CertificateSigningRequestSpec: request=1:bytes username=2:string uid=3:string groups=4:string* usages=5:string*
 extra=6:ExtraValue{} signerName=7:string expirationSeconds=8:int
CertificateSigningRequestStatus: conditions=1:CertificateSigningRequestCondition* certificate=2:bytes
CertificateSigningRequestCondition: type=1:string reason=2:string message=3:string lastUpdateTime=4:Time
 lastTransitionTime=5:Time status=6:string
ExtraValue: items=1:string*
TokenReview: metadata=1:ObjectMeta spec=2:TokenReviewSpec status=3:Empty
TokenReviewSpec: token=1:string audiences=2:string*
TokenRequest: metadata=1:ObjectMeta spec=2:TokenRequestSpec status=3:TokenRequestStatus
TokenRequestSpec: audiences=1:string* boundObjectRef=3:BoundObjectReference expirationSeconds=4:int
TokenRequestStatus: token=1:string expirationTimestamp=2:Time
BoundObjectReference: kind=1:string apiVersion=2:string name=3:string uid=4:string
SelfSubjectReview: metadata=1:ObjectMeta status=2:Empty
SelfSubjectAccessReview: metadata=1:ObjectMeta spec=2:SelfSubjectAccessReviewSpec status=3:ReviewStatus
SelfSubjectAccessReviewSpec: resourceAttributes=1:ResourceAttributes nonResourceAttributes=2:NonResourceAttributes
SelfSubjectRulesReview: metadata=1:ObjectMeta spec=2:SelfSubjectRulesReviewSpec status=3:RulesStatus
SelfSubjectRulesReviewSpec: namespace=1:string
SubjectAccessReview: metadata=1:ObjectMeta spec=2:SubjectAccessReviewSpec status=3:ReviewStatus
LocalSubjectAccessReview: metadata=1:ObjectMeta spec=2:SubjectAccessReviewSpec status=3:ReviewStatus
SubjectAccessReviewSpec: resourceAttributes=1:ResourceAttributes nonResourceAttributes=2:NonResourceAttributes
 user=3:string groups=4:string* extra=5:ExtraValue{} uid=6:string
ResourceAttributes: namespace=1:string verb=2:string group=3:string version=4:string resource=5:string
 subresource=6:string name=7:string
NonResourceAttributes: path=1:string verb=2:string
ReviewStatus: allowed=1:bool reason=2:string evaluationError=3:string denied=4:bool
RulesStatus: incomplete=3:bool evaluationError=4:string
Unknown: typeMeta=1:TypeMeta raw=2:bytes contentEncoding=3:string contentType=4:string
TypeMeta: apiVersion=1:string kind=2:string
Time: seconds=1:int nanos=2:int
MicroTime: seconds=1:int nanos=2:int
Quantity: string=1:string
IntOrString: type=1:int intVal=2:int strVal=3:string
FieldsV1: raw=1:bytes
Empty:
"""


class Field(NamedTuple):
    """One field: `shape` is `` (one), `*`, `{}` or `^`."""

    name: str
    type: str
    shape: str


@cache
def _messages() -> dict[str, str]:
    lines: list[str] = []
    for line in _TABLE.strip().splitlines():
        if line.startswith(" "):
            lines[-1] += line
        else:
            lines.append(line)
    return dict(line.split(":", 1) for line in lines)


@cache
def fields(message: str) -> dict[int, Field]:
    """The fields of a message by number. Raises KeyError for an unknown message."""
    found = {}
    for entry in _messages()[message].split():
        name, _, rest = entry.partition("=")
        number, _, kind = rest.partition(":")
        shape = next((suffix for suffix in ("*", "{}", "^") if kind.endswith(suffix)), "")
        found[int(number)] = Field(name, kind.removesuffix(shape), shape)
    return found
