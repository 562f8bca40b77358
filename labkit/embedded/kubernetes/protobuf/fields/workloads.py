"""The messages of the groups around workloads, and those common to all groups."""

FIELDS = {
    "meta.v1": """
Condition: 1 type!, 2 status!, 3 observedGeneration int, 4 lastTransitionTime! Time, 5 reason!, 6 message!
DeleteOptions: 1 gracePeriodSeconds! int, 2 preconditions Preconditions, 3 orphanDependents! bool,
  4 propagationPolicy!, 5 dryRun *string, 6 ignoreStoreReadErrorWithClusterBreakingPotential! bool
FieldSelectorRequirement: 1 key!, 2 operator!, 3 values *string
LabelSelector: 1 matchLabels %string, 2 matchExpressions *LabelSelectorRequirement
LabelSelectorRequirement: 1 key!, 2 operator!, 3 values *string
ListMeta: 1 selfLink, 2 resourceVersion, 3 continue, 4 remainingItemCount! int, 5 shardInfo ShardInfo
ManagedFieldsEntry: 1 manager, 2 operation, 3 apiVersion, 4 time! Time, 6 fieldsType, 7 fieldsV1 FieldsV1,
  8 subresource
ObjectMeta: 1 name, 2 generateName, 3 namespace, 4 selfLink, 5 uid, 6 resourceVersion, 7 generation int,
  8 creationTimestamp Time, 9 deletionTimestamp! Time, 10 deletionGracePeriodSeconds! int, 11 labels %string,
  12 annotations %string, 13 ownerReferences *OwnerReference, 14 finalizers *string,
  17 managedFields *ManagedFieldsEntry
OwnerReference: 1 kind!, 3 name!, 4 uid!, 5 apiVersion!, 6 controller! bool, 7 blockOwnerDeletion! bool
Preconditions: 1 uid!, 2 resourceVersion!
ShardInfo: 1 selector!
Status: 1 metadata ListMeta, 2 status, 3 message, 4 reason, 5 details StatusDetails, 6 code int
StatusCause: 1 reason, 2 message, 3 field
StatusDetails: 1 name, 2 group, 3 kind, 4 causes *StatusCause, 5 retryAfterSeconds int, 6 uid
""",
    "apps.v1": """
ControllerRevision: 1 metadata meta.v1.ObjectMeta, 2 data RawExtension, 3 revision! int
DaemonSet: 1 metadata meta.v1.ObjectMeta, 2 spec DaemonSetSpec, 3 status DaemonSetStatus
DaemonSetCondition: 1 type!, 2 status!, 3 lastTransitionTime Time, 4 reason, 5 message
DaemonSetSpec: 1 selector meta.v1.LabelSelector, 2 template core.v1.PodTemplateSpec,
  3 updateStrategy DaemonSetUpdateStrategy, 4 minReadySeconds int, 6 revisionHistoryLimit! int
DaemonSetStatus: 1 currentNumberScheduled! int, 2 numberMisscheduled! int, 3 desiredNumberScheduled! int,
  4 numberReady! int, 5 observedGeneration int, 6 updatedNumberScheduled int, 7 numberAvailable int,
  8 numberUnavailable int, 9 collisionCount! int, 10 conditions *DaemonSetCondition
DaemonSetUpdateStrategy: 1 type, 2 rollingUpdate RollingUpdateDaemonSet
Deployment: 1 metadata meta.v1.ObjectMeta, 2 spec DeploymentSpec, 3 status DeploymentStatus
DeploymentCondition: 1 type!, 2 status!, 4 reason, 5 message, 6 lastUpdateTime Time, 7 lastTransitionTime Time
DeploymentSpec: 1 replicas! int, 2 selector meta.v1.LabelSelector, 3 template core.v1.PodTemplateSpec,
  4 strategy DeploymentStrategy, 5 minReadySeconds int, 6 revisionHistoryLimit! int, 7 paused bool,
  9 progressDeadlineSeconds! int
DeploymentStatus: 1 observedGeneration int, 2 replicas int, 3 updatedReplicas int, 4 availableReplicas int,
  5 unavailableReplicas int, 6 conditions *DeploymentCondition, 7 readyReplicas int, 8 collisionCount! int,
  9 terminatingReplicas! int
DeploymentStrategy: 1 type, 2 rollingUpdate RollingUpdateDeployment
ReplicaSet: 1 metadata meta.v1.ObjectMeta, 2 spec ReplicaSetSpec, 3 status ReplicaSetStatus
ReplicaSetCondition: 1 type!, 2 status!, 3 lastTransitionTime Time, 4 reason, 5 message
ReplicaSetSpec: 1 replicas! int, 2 selector meta.v1.LabelSelector, 3 template core.v1.PodTemplateSpec,
  4 minReadySeconds int
ReplicaSetStatus: 1 replicas! int, 2 fullyLabeledReplicas int, 3 observedGeneration int, 4 readyReplicas int,
  5 availableReplicas int, 6 conditions *ReplicaSetCondition, 7 terminatingReplicas! int
RollingUpdateDaemonSet: 1 maxUnavailable IntOrString, 2 maxSurge IntOrString
RollingUpdateDeployment: 1 maxUnavailable IntOrString, 2 maxSurge IntOrString
RollingUpdateStatefulSetStrategy: 1 partition! int, 2 maxUnavailable IntOrString
StatefulSet: 1 metadata meta.v1.ObjectMeta, 2 spec StatefulSetSpec, 3 status StatefulSetStatus
StatefulSetCondition: 1 type!, 2 status!, 3 lastTransitionTime Time, 4 reason, 5 message
StatefulSetOrdinals: 1 start! int
StatefulSetPersistentVolumeClaimRetentionPolicy: 1 whenDeleted, 2 whenScaled
StatefulSetSpec: 1 replicas! int, 2 selector meta.v1.LabelSelector, 3 template core.v1.PodTemplateSpec,
  4 volumeClaimTemplates *core.v1.PersistentVolumeClaim, 5 serviceName!, 6 podManagementPolicy,
  7 updateStrategy StatefulSetUpdateStrategy, 8 revisionHistoryLimit! int, 9 minReadySeconds int,
  10 persistentVolumeClaimRetentionPolicy StatefulSetPersistentVolumeClaimRetentionPolicy,
  11 ordinals StatefulSetOrdinals
StatefulSetStatus: 1 observedGeneration int, 2 replicas! int, 3 readyReplicas int, 4 currentReplicas int,
  5 updatedReplicas int, 6 currentRevision, 7 updateRevision, 9 collisionCount! int,
  10 conditions *StatefulSetCondition, 11 availableReplicas! int
StatefulSetUpdateStrategy: 1 type, 2 rollingUpdate RollingUpdateStatefulSetStrategy
""",
    "batch.v1": """
CronJob: 1 metadata meta.v1.ObjectMeta, 2 spec CronJobSpec, 3 status CronJobStatus
CronJobSpec: 1 schedule!, 2 startingDeadlineSeconds! int, 3 concurrencyPolicy, 4 suspend! bool,
  5 jobTemplate JobTemplateSpec, 6 successfulJobsHistoryLimit! int, 7 failedJobsHistoryLimit! int, 8 timeZone!
CronJobStatus: 1 active *core.v1.ObjectReference, 4 lastScheduleTime! Time, 5 lastSuccessfulTime! Time
Job: 1 metadata meta.v1.ObjectMeta, 2 spec JobSpec, 3 status JobStatus
JobCondition: 1 type!, 2 status!, 3 lastProbeTime Time, 4 lastTransitionTime Time, 5 reason, 6 message
JobSpec: 1 parallelism! int, 2 completions! int, 3 activeDeadlineSeconds! int, 4 selector meta.v1.LabelSelector,
  5 manualSelector! bool, 6 template core.v1.PodTemplateSpec, 7 backoffLimit! int, 8 ttlSecondsAfterFinished! int,
  9 completionMode!, 10 suspend! bool, 11 podFailurePolicy PodFailurePolicy, 12 backoffLimitPerIndex! int,
  13 maxFailedIndexes! int, 14 podReplacementPolicy!, 15 managedBy!, 16 successPolicy SuccessPolicy
JobStatus: 1 conditions *JobCondition, 2 startTime! Time, 3 completionTime! Time, 4 active int, 5 succeeded int,
  6 failed int, 7 completedIndexes, 8 uncountedTerminatedPods UncountedTerminatedPods, 9 ready! int,
  10 failedIndexes!, 11 terminating! int
JobTemplateSpec: 1 metadata meta.v1.ObjectMeta, 2 spec JobSpec
PodFailurePolicy: 1 rules *PodFailurePolicyRule
PodFailurePolicyOnExitCodesRequirement: 1 containerName!, 2 operator!, 3 values *int
PodFailurePolicyOnPodConditionsPattern: 1 type!, 2 status!
PodFailurePolicyRule: 1 action!, 2 onExitCodes PodFailurePolicyOnExitCodesRequirement,
  3 onPodConditions *PodFailurePolicyOnPodConditionsPattern
SuccessPolicy: 1 rules *SuccessPolicyRule
SuccessPolicyRule: 1 succeededIndexes!, 2 succeededCount! int
UncountedTerminatedPods: 1 succeeded *string, 2 failed *string
""",
    "autoscaling.v1": """
CrossVersionObjectReference: 1 kind!, 2 name!, 3 apiVersion
HorizontalPodAutoscaler: 1 metadata meta.v1.ObjectMeta, 2 spec HorizontalPodAutoscalerSpec,
  3 status HorizontalPodAutoscalerStatus
HorizontalPodAutoscalerSpec: 1 scaleTargetRef CrossVersionObjectReference, 2 minReplicas! int, 3 maxReplicas! int,
  4 targetCPUUtilizationPercentage! int
HorizontalPodAutoscalerStatus: 1 observedGeneration! int, 2 lastScaleTime! Time, 3 currentReplicas! int,
  4 desiredReplicas! int, 5 currentCPUUtilizationPercentage! int
Scale: 1 metadata meta.v1.ObjectMeta, 2 spec ScaleSpec, 3 status ScaleStatus
ScaleSpec: 1 replicas int
ScaleStatus: 1 replicas! int, 2 selector
""",
    "autoscaling.v2": """
ContainerResourceMetricSource: 1 name!, 2 target MetricTarget, 3 container!
ContainerResourceMetricStatus: 1 name!, 2 current MetricValueStatus, 3 container!
CrossVersionObjectReference: 1 kind!, 2 name!, 3 apiVersion
ExternalMetricSource: 1 metric MetricIdentifier, 2 target MetricTarget
ExternalMetricStatus: 1 metric MetricIdentifier, 2 current MetricValueStatus
HPAScalingPolicy: 1 type!, 2 value! int, 3 periodSeconds! int
HPAScalingRules: 1 selectPolicy!, 2 policies *HPAScalingPolicy, 3 stabilizationWindowSeconds! int,
  4 tolerance Quantity
HorizontalPodAutoscaler: 1 metadata meta.v1.ObjectMeta, 2 spec HorizontalPodAutoscalerSpec,
  3 status HorizontalPodAutoscalerStatus
HorizontalPodAutoscalerBehavior: 1 scaleUp HPAScalingRules, 2 scaleDown HPAScalingRules
HorizontalPodAutoscalerCondition: 1 type!, 2 status!, 3 lastTransitionTime Time, 4 reason, 5 message
HorizontalPodAutoscalerSpec: 1 scaleTargetRef CrossVersionObjectReference, 2 minReplicas! int, 3 maxReplicas! int,
  4 metrics *MetricSpec, 5 behavior HorizontalPodAutoscalerBehavior
HorizontalPodAutoscalerStatus: 1 observedGeneration! int, 2 lastScaleTime! Time, 3 currentReplicas int,
  4 desiredReplicas! int, 5 currentMetrics *MetricStatus, 6 conditions *HorizontalPodAutoscalerCondition
MetricIdentifier: 1 name!, 2 selector meta.v1.LabelSelector
MetricSpec: 1 type!, 2 object ObjectMetricSource, 3 pods PodsMetricSource, 4 resource ResourceMetricSource,
  5 external ExternalMetricSource, 7 containerResource ContainerResourceMetricSource
MetricStatus: 1 type!, 2 object ObjectMetricStatus, 3 pods PodsMetricStatus, 4 resource ResourceMetricStatus,
  5 external ExternalMetricStatus, 7 containerResource ContainerResourceMetricStatus
MetricTarget: 1 type!, 2 value Quantity, 3 averageValue Quantity, 4 averageUtilization! int
MetricValueStatus: 1 value Quantity, 2 averageValue Quantity, 3 averageUtilization! int
ObjectMetricSource: 1 describedObject CrossVersionObjectReference, 2 target MetricTarget, 3 metric MetricIdentifier
ObjectMetricStatus: 1 metric MetricIdentifier, 2 current MetricValueStatus,
  3 describedObject CrossVersionObjectReference
PodsMetricSource: 1 metric MetricIdentifier, 2 target MetricTarget
PodsMetricStatus: 1 metric MetricIdentifier, 2 current MetricValueStatus
ResourceMetricSource: 1 name!, 2 target MetricTarget
ResourceMetricStatus: 1 name!, 2 current MetricValueStatus
""",
    "policy.v1": """
Eviction: 1 metadata meta.v1.ObjectMeta, 2 deleteOptions meta.v1.DeleteOptions
PodDisruptionBudget: 1 metadata meta.v1.ObjectMeta, 2 spec PodDisruptionBudgetSpec, 3 status PodDisruptionBudgetStatus
PodDisruptionBudgetSpec: 1 minAvailable IntOrString, 2 selector meta.v1.LabelSelector, 3 maxUnavailable IntOrString,
  4 unhealthyPodEvictionPolicy!
PodDisruptionBudgetStatus: 1 observedGeneration int, 2 disruptedPods %Time, 3 disruptionsAllowed! int,
  4 currentHealthy! int, 5 desiredHealthy! int, 6 expectedPods! int, 7 conditions *meta.v1.Condition
""",
    "scheduling.v1": """
PriorityClass: 1 metadata meta.v1.ObjectMeta, 2 value! int, 3 globalDefault bool, 4 description, 5 preemptionPolicy!
""",
    "coordination.v1": """
Lease: 1 metadata meta.v1.ObjectMeta, 2 spec LeaseSpec
LeaseSpec: 1 holderIdentity!, 2 leaseDurationSeconds! int, 3 acquireTime! MicroTime, 4 renewTime! MicroTime,
  5 leaseTransitions! int, 6 strategy!, 7 preferredHolder!
""",
}
