"""What the definitions do not tell: of what Go type a field is, and whether its empty value is written.

The real API server holds objects in Go structs. That shows on the wire: an empty value of an optional field that is no
pointer is not kept (``hostNetwork: false``, ``labels: {}``), a struct in place is always written (``resources: {}``),
and whoever gives a field of a wrong type reads the Go type's name. Taken from the field tags of ``k8s.io/api`` and
``k8s.io/apimachinery`` v0.36.1.

One line a definition, below its package; a word for each field that is not what its schema lets one guess:
``*field`` is a pointer, ``=field`` a struct (or time, quantity, int-or-string) in place, ``field!`` is written though
it is empty and optional, ``field-`` is left out when empty although it is required, ``:Type`` is its Go type.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

_TABLE = """
[io.k8s.api.apps.v1]
ControllerRevision =data =metadata
DaemonSet =metadata =spec =status
DaemonSetCondition =lastTransitionTime status:ConditionStatus type:DaemonSetConditionType
DaemonSetSpec *revisionHistoryLimit =template =updateStrategy
DaemonSetStatus *collisionCount
DaemonSetUpdateStrategy type:DaemonSetUpdateStrategyType
Deployment =metadata =spec =status
DeploymentCondition =lastTransitionTime =lastUpdateTime status:ConditionStatus type:DeploymentConditionType
DeploymentSpec *progressDeadlineSeconds *replicas *revisionHistoryLimit =strategy =template
DeploymentStatus *collisionCount *terminatingReplicas
DeploymentStrategy type:DeploymentStrategyType
ReplicaSet =metadata =spec =status
ReplicaSetCondition =lastTransitionTime status:ConditionStatus type:ReplicaSetConditionType
ReplicaSetSpec *replicas =template
ReplicaSetStatus *terminatingReplicas
[io.k8s.api.authentication.v1]
BoundObjectReference uid:types.UID
SelfSubjectReview =metadata =status
SelfSubjectReviewStatus =userInfo
TokenRequest =metadata =spec! =status
TokenRequestSpec audiences! boundObjectRef! *expirationSeconds!
TokenRequestStatus =expirationTimestamp! token!
TokenReview =metadata =spec =status
TokenReviewSpec token-
TokenReviewStatus =user
UserInfo extra:map[string]ExtraValue
[io.k8s.api.authorization.v1]
LocalSubjectAccessReview =metadata =spec =status
SelfSubjectAccessReview =metadata =spec =status
SelfSubjectRulesReview =metadata =spec =status
SubjectAccessReview =metadata =spec =status
SubjectAccessReviewSpec extra:map[string]ExtraValue
[io.k8s.api.autoscaling.v1]
Scale =metadata =spec =status
[io.k8s.api.batch.v1]
Job =metadata =spec =status
JobCondition =lastProbeTime =lastTransitionTime status:ConditionStatus type:JobConditionType
JobSpec *activeDeadlineSeconds *backoffLimit *backoffLimitPerIndex *completionMode:CompletionMode *completions
  *managedBy *manualSelector *maxFailedIndexes *parallelism *podReplacementPolicy:PodReplacementPolicy *suspend
  =template *ttlSecondsAfterFinished
JobStatus *failedIndexes *ready *terminating
PodFailurePolicyOnExitCodesRequirement *containerName operator:PodFailurePolicyOnExitCodesOperator
PodFailurePolicyOnPodConditionsPattern status!:ConditionStatus type:PodConditionType
PodFailurePolicyRule action:PodFailurePolicyAction
SuccessPolicyRule *succeededCount *succeededIndexes
UncountedTerminatedPods failed:[]types.UID succeeded:[]types.UID
[io.k8s.api.coordination.v1]
Lease =metadata =spec
LeaseSpec *holderIdentity *leaseDurationSeconds *leaseTransitions *preferredHolder *strategy:CoordinatedLeaseStrategy
[io.k8s.api.core.v1]
AppArmorProfile *localhostProfile type:AppArmorProfileType
AttachedVolume name:UniqueVolumeName
AzureDiskVolumeSource *cachingMode:AzureDataDiskCachingMode *fsType *kind:AzureDataDiskKind *readOnly
Binding =metadata =target
CSIVolumeSource *fsType *readOnly
Capabilities add:[]Capability drop:[]Capability
ClientIPConfig *timeoutSeconds
ClusterTrustBundleProjection *name *optional *signerName
ComponentCondition status:ConditionStatus type:ComponentConditionType
ComponentStatus =metadata
ConfigMap *immutable =metadata
ConfigMapEnvSource *optional
ConfigMapKeySelector *optional
ConfigMapNodeConfigSource uid:types.UID
ConfigMapProjection *optional
ConfigMapVolumeSource *defaultMode *optional
Container imagePullPolicy:PullPolicy =resources *restartPolicy:ContainerRestartPolicy
  terminationMessagePolicy:TerminationMessagePolicy
ContainerImage names!
ContainerPort protocol:Protocol
ContainerResizePolicy resourceName:ResourceName restartPolicy:ResourceResizeRestartPolicy
ContainerRestartRule action-:ContainerRestartRuleAction
ContainerRestartRuleOnExitCodes operator-:ContainerRestartRuleOnExitCodesOperator
ContainerStateRunning =startedAt
ContainerStateTerminated =finishedAt =startedAt
ContainerStatus allocatedResources:ResourceList =lastState *started =state *stopSignal:Signal
DownwardAPIVolumeFile *mode
DownwardAPIVolumeSource *defaultMode
EmptyDirVolumeSource medium:StorageMedium
EndpointAddress *nodeName
EndpointPort *appProtocol protocol:Protocol
Endpoints =metadata
EphemeralContainer imagePullPolicy:PullPolicy =resources *restartPolicy:ContainerRestartPolicy
  terminationMessagePolicy:TerminationMessagePolicy
Event =eventTime =firstTimestamp =involvedObject =lastTimestamp =metadata reportingComponent! reportingInstance!
  =source
EventSeries =lastObservedTime
FCVolumeSource *lun
FileKeySelector *optional
GRPCAction *service!
HTTPGetAction =port scheme:URIScheme
HostPathVolumeSource *type:HostPathType
ISCSIVolumeSource *initiatorName
ImageVolumeSource pullPolicy:PullPolicy
ImageVolumeStatus imageRef-
KeyToPath *mode
Lifecycle *stopSignal:Signal
LoadBalancerIngress *ipMode:LoadBalancerIPMode
Namespace =metadata =spec =status
NamespaceCondition =lastTransitionTime status:ConditionStatus type:NamespaceConditionType
NamespaceSpec finalizers:[]FinalizerName
NamespaceStatus phase:NamespacePhase
Node =metadata =spec =status
NodeAddress type:NodeAddressType
NodeAllocatableResourceClaimStatus resources:map[ResourceName]resource.Quantity
NodeCondition =lastHeartbeatTime =lastTransitionTime status:ConditionStatus type:NodeConditionType
NodeDaemonEndpoints =kubeletEndpoint
NodeFeatures *supplementalGroupsPolicy
NodeRuntimeHandler name!
NodeRuntimeHandlerFeatures *recursiveReadOnlyMounts *userNamespaces
NodeSelectorRequirement operator:NodeSelectorOperator
NodeStatus allocatable:ResourceList capacity:ResourceList =daemonEndpoints =nodeInfo phase:NodePhase
  volumesInUse:[]UniqueVolumeName
NodeSwapStatus *capacity
ObjectReference uid:types.UID
PersistentVolumeClaimSpec accessModes:[]PersistentVolumeAccessMode =resources *storageClassName
  *volumeAttributesClassName *volumeMode:PersistentVolumeMode
PersistentVolumeClaimTemplate =metadata =spec
Pod =metadata =spec =status
PodCertificateProjection keyType- *maxExpirationSeconds signerName-
PodCondition =lastProbeTime =lastTransitionTime status:ConditionStatus type:PodConditionType
PodDNSConfigOption *value
PodOS name:OSName
PodReadinessGate conditionType:PodConditionType
PodResourceClaim *resourceClaimName *resourceClaimTemplateName
PodResourceClaimStatus *resourceClaimName
PodSchedulingGroup *podGroupName
PodSecurityContext *fsGroup *fsGroupChangePolicy:PodFSGroupChangePolicy *runAsGroup *runAsNonRoot *runAsUser
  *seLinuxChangePolicy:PodSELinuxChangePolicy *supplementalGroupsPolicy:SupplementalGroupsPolicy
PodSpec *activeDeadlineSeconds *automountServiceAccountToken dnsPolicy:DNSPolicy *enableServiceLinks *hostUsers
  *hostnameOverride overhead:ResourceList *preemptionPolicy:PreemptionPolicy *priority restartPolicy:RestartPolicy
  *runtimeClassName *setHostnameAsFQDN *shareProcessNamespace *terminationGracePeriodSeconds
PodStatus allocatedResources:ResourceList phase:PodPhase qosClass:PodQOSClass resize:PodResizeStatus
PodTemplateSpec =metadata =spec
PortStatus *error protocol:Protocol
PreferredSchedulingTerm =preference
Probe *terminationGracePeriodSeconds
ProjectedVolumeSource *defaultMode sources!
ReplicationController =metadata =spec =status
ReplicationControllerCondition =lastTransitionTime status:ConditionStatus type:ReplicationControllerConditionType
ReplicationControllerSpec *replicas
ResourceFieldSelector =divisor
ResourceHealth health:ResourceHealthStatus *message resourceID:ResourceID
ResourceRequirements limits:ResourceList requests:ResourceList
ResourceStatus name:ResourceName
SeccompProfile *localhostProfile type:SeccompProfileType
Secret *immutable =metadata type:SecretType
SecretEnvSource *optional
SecretKeySelector *optional
SecretProjection *optional
SecretVolumeSource *defaultMode *optional
SecurityContext *allowPrivilegeEscalation *privileged *procMount:ProcMountType *readOnlyRootFilesystem *runAsGroup
  *runAsNonRoot *runAsUser
Service =metadata =spec =status
ServiceAccount *automountServiceAccountToken =metadata
ServiceAccountTokenProjection *expirationSeconds
ServicePort *appProtocol protocol:Protocol =targetPort
ServiceSpec *allocateLoadBalancerNodePorts externalTrafficPolicy:ServiceExternalTrafficPolicy
  *internalTrafficPolicy:ServiceInternalTrafficPolicy ipFamilies:[]IPFamily *ipFamilyPolicy:IPFamilyPolicy
  *loadBalancerClass sessionAffinity:ServiceAffinity *trafficDistribution type:ServiceType
ServiceStatus =loadBalancer
TCPSocketAction =port
Taint effect:TaintEffect
Toleration effect:TaintEffect operator:TolerationOperator *tolerationSeconds
TopologySpreadConstraint *minDomains *nodeAffinityPolicy:NodeInclusionPolicy *nodeTaintsPolicy:NodeInclusionPolicy
  whenUnsatisfiable:UnsatisfiableConstraintAction
TypedLocalObjectReference *apiGroup!
TypedObjectReference *apiGroup! *namespace
VolumeMount *mountPropagation:MountPropagationMode *recursiveReadOnly:RecursiveReadOnlyMode
VolumeMountStatus *recursiveReadOnly:RecursiveReadOnlyMode
VolumeResourceRequirements limits:ResourceList requests:ResourceList
WeightedPodAffinityTerm =podAffinityTerm
WindowsSecurityContextOptions *gmsaCredentialSpec *gmsaCredentialSpecName *hostProcess *runAsUserName
[io.k8s.api.discovery.v1]
Endpoint =conditions *hostname *nodeName *zone
EndpointConditions *ready *serving *terminating
EndpointPort *appProtocol *name *port *protocol:Protocol
EndpointSlice addressType:AddressType endpoints! =metadata ports!
[io.k8s.api.policy.v1]
Eviction =metadata
PodDisruptionBudget =metadata =spec =status
PodDisruptionBudgetSpec *unhealthyPodEvictionPolicy:UnhealthyPodEvictionPolicyType
PodDisruptionBudgetStatus currentHealthy! desiredHealthy! disruptionsAllowed! expectedPods!
[io.k8s.api.scheduling.v1]
PriorityClass =metadata *preemptionPolicy:PreemptionPolicy value!
[io.k8s.apimachinery.pkg.apis.meta.v1]
Condition =lastTransitionTime status:ConditionStatus
DeleteOptions *gracePeriodSeconds *ignoreStoreReadErrorWithClusterBreakingPotential *orphanDependents
  *propagationPolicy:DeletionPropagation
FieldSelectorRequirement operator:FieldSelectorOperator
LabelSelectorRequirement operator:LabelSelectorOperator
ListMeta *remainingItemCount
ManagedFieldsEntry operation:ManagedFieldsOperationType
ObjectMeta =creationTimestamp *deletionGracePeriodSeconds uid:types.UID
OwnerReference *blockOwnerDeletion *controller uid:types.UID
Preconditions *resourceVersion *uid:types.UID
Status =metadata reason:StatusReason
StatusCause reason:CauseType
StatusDetails uid:types.UID
"""


@dataclass(frozen=True, slots=True)
class GoField:
    """How a field stands in its Go struct."""

    pointer: bool = False
    in_place: bool = False
    kept: bool | None = None  # None: as ``required`` says
    type: str = ""  # "": as the schema says


PLAIN = GoField()


def fields_of(name: str) -> Mapping[str, GoField]:
    """The fields of a definition that are not :data:`PLAIN`."""
    return _parsed().get(name, {})


@functools.cache
def _parsed() -> dict[str, dict[str, GoField]]:
    found: dict[str, dict[str, GoField]] = {}
    package, fields = "", {}  # type: str, dict[str, GoField]
    for line in _TABLE.strip().splitlines():
        words = line.split()
        if line.startswith("["):
            package = line.strip("[]")
            continue
        if not line.startswith(" "):
            fields = found.setdefault(f"{package}.{words.pop(0)}", {})
        fields.update(_field(word) for word in words)
    return found


def _field(word: str) -> tuple[str, GoField]:
    path, _, go = word.partition(":")
    kept = {"!": True, "-": False}.get(path[-1])
    name = path.strip("*=!-")
    return name, GoField(path.startswith("*"), path.startswith("="), kept, _qualified(go))


def _qualified(go: str) -> str:
    """``[]Capability`` → ``[]v1.Capability``: every package that is served calls itself v1."""
    if not go:
        return ""
    if go.startswith("[]"):
        return "[]" + _qualified(go[2:])
    if go.startswith("map["):
        key, _, value = go[4:].partition("]")
        return f"map[{_qualified(key)}]{_qualified(value)}"
    return go if "." in go or go[0].islower() else f"v1.{go}"
