"""The messages of the groups around access, networks and storage."""

FIELDS = {
    "authentication.v1": """
BoundObjectReference: 1 kind, 2 apiVersion, 3 name, 4 uid
SelfSubjectReview: 1 metadata meta.v1.ObjectMeta, 2 status SelfSubjectReviewStatus
SelfSubjectReviewStatus: 1 userInfo UserInfo
TokenRequest: 1 metadata meta.v1.ObjectMeta, 2 spec TokenRequestSpec, 3 status TokenRequestStatus
TokenRequestSpec: 1 audiences *string, 3 boundObjectRef BoundObjectReference, 4 expirationSeconds! int
TokenRequestStatus: 1 token!, 2 expirationTimestamp! Time
TokenReview: 1 metadata meta.v1.ObjectMeta, 2 spec TokenReviewSpec, 3 status TokenReviewStatus
TokenReviewSpec: 1 token, 2 audiences *string
TokenReviewStatus: 1 authenticated bool, 2 user UserInfo, 3 error, 4 audiences *string
UserInfo: 1 username, 2 uid, 3 groups *string, 4 extra %^string
""",
    "authorization.v1": """
FieldSelectorAttributes: 1 rawSelector, 2 requirements *meta.v1.FieldSelectorRequirement
LabelSelectorAttributes: 1 rawSelector, 2 requirements *meta.v1.LabelSelectorRequirement
LocalSubjectAccessReview: 1 metadata meta.v1.ObjectMeta, 2 spec SubjectAccessReviewSpec,
  3 status SubjectAccessReviewStatus
NonResourceAttributes: 1 path, 2 verb
NonResourceRule: 1 verbs *string, 2 nonResourceURLs *string
ResourceAttributes: 1 namespace, 2 verb, 3 group, 4 version, 5 resource, 6 subresource, 7 name,
  8 fieldSelector FieldSelectorAttributes, 9 labelSelector LabelSelectorAttributes
ResourceRule: 1 verbs *string, 2 apiGroups *string, 3 resources *string, 4 resourceNames *string
SelfSubjectAccessReview: 1 metadata meta.v1.ObjectMeta, 2 spec SelfSubjectAccessReviewSpec,
  3 status SubjectAccessReviewStatus
SelfSubjectAccessReviewSpec: 1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes
SelfSubjectRulesReview: 1 metadata meta.v1.ObjectMeta, 2 spec SelfSubjectRulesReviewSpec,
  3 status SubjectRulesReviewStatus
SelfSubjectRulesReviewSpec: 1 namespace
SubjectAccessReview: 1 metadata meta.v1.ObjectMeta, 2 spec SubjectAccessReviewSpec, 3 status SubjectAccessReviewStatus
SubjectAccessReviewSpec: 1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes,
  3 user, 4 groups *string, 5 extra %^string, 6 uid
SubjectAccessReviewStatus: 1 allowed! bool, 2 reason, 3 evaluationError, 4 denied bool
SubjectRulesReviewStatus: 1 resourceRules *ResourceRule, 2 nonResourceRules *NonResourceRule, 3 incomplete! bool,
  4 evaluationError
""",
    "certificates.v1": """
CertificateSigningRequest: 1 metadata meta.v1.ObjectMeta, 2 spec CertificateSigningRequestSpec,
  3 status CertificateSigningRequestStatus
CertificateSigningRequestCondition: 1 type!, 2 reason, 3 message, 4 lastUpdateTime Time, 5 lastTransitionTime Time,
  6 status!
CertificateSigningRequestSpec: 1 request! bytes, 2 username, 3 uid, 4 groups *string, 5 usages *string,
  6 extra %^string, 7 signerName!, 8 expirationSeconds! int
CertificateSigningRequestStatus: 1 conditions *CertificateSigningRequestCondition, 2 certificate bytes
""",
    "discovery.v1": """
Endpoint: 1 addresses *string, 2 conditions EndpointConditions, 3 hostname!, 4 targetRef core.v1.ObjectReference,
  5 deprecatedTopology %string, 6 nodeName!, 7 zone!, 8 hints EndpointHints
EndpointConditions: 1 ready! bool, 2 serving! bool, 3 terminating! bool
EndpointHints: 1 forZones *ForZone, 2 forNodes *ForNode
EndpointPort: 1 name!, 2 protocol!, 3 port! int, 4 appProtocol!
EndpointSlice: 1 metadata meta.v1.ObjectMeta, 2 endpoints *Endpoint, 3 ports *EndpointPort, 4 addressType!
ForNode: 1 name!
ForZone: 1 name!
""",
    "events.v1": """
Event: 1 metadata meta.v1.ObjectMeta, 2 eventTime! MicroTime, 3 series EventSeries, 4 reportingController,
  5 reportingInstance, 6 action, 7 reason, 8 regarding core.v1.ObjectReference, 9 related core.v1.ObjectReference,
  10 note, 11 type, 12 deprecatedSource core.v1.EventSource, 13 deprecatedFirstTimestamp Time,
  14 deprecatedLastTimestamp Time, 15 deprecatedCount int
EventSeries: 1 count! int, 2 lastObservedTime! MicroTime
""",
    "networking.v1": """
HTTPIngressPath: 1 path, 2 backend IngressBackend, 3 pathType!
HTTPIngressRuleValue: 1 paths *HTTPIngressPath
IPBlock: 1 cidr!, 2 except *string
Ingress: 1 metadata meta.v1.ObjectMeta, 2 spec IngressSpec, 3 status IngressStatus
IngressBackend: 3 resource core.v1.TypedLocalObjectReference, 4 service IngressServiceBackend
IngressClass: 1 metadata meta.v1.ObjectMeta, 2 spec IngressClassSpec
IngressClassParametersReference: 1 apiGroup!, 2 kind!, 3 name!, 4 scope!, 5 namespace!
IngressClassSpec: 1 controller, 2 parameters IngressClassParametersReference
IngressLoadBalancerIngress: 1 ip, 2 hostname, 4 ports *IngressPortStatus
IngressLoadBalancerStatus: 1 ingress *IngressLoadBalancerIngress
IngressPortStatus: 1 port! int, 2 protocol!, 3 error!
IngressRule: 1 host, 2 + IngressRuleValue
IngressRuleValue: 1 http HTTPIngressRuleValue
IngressServiceBackend: 1 name!, 2 port ServiceBackendPort
IngressSpec: 1 defaultBackend IngressBackend, 2 tls *IngressTLS, 3 rules *IngressRule, 4 ingressClassName!
IngressStatus: 1 loadBalancer IngressLoadBalancerStatus
IngressTLS: 1 hosts *string, 2 secretName
NetworkPolicy: 1 metadata meta.v1.ObjectMeta, 2 spec NetworkPolicySpec
NetworkPolicyEgressRule: 1 ports *NetworkPolicyPort, 2 to *NetworkPolicyPeer
NetworkPolicyIngressRule: 1 ports *NetworkPolicyPort, 2 from *NetworkPolicyPeer
NetworkPolicyPeer: 1 podSelector meta.v1.LabelSelector, 2 namespaceSelector meta.v1.LabelSelector, 3 ipBlock IPBlock
NetworkPolicyPort: 1 protocol!, 2 port IntOrString, 3 endPort! int
NetworkPolicySpec: 1 podSelector meta.v1.LabelSelector, 2 ingress *NetworkPolicyIngressRule,
  3 egress *NetworkPolicyEgressRule, 4 policyTypes *string
ServiceBackendPort: 1 name, 2 number int
""",
    "rbac.v1": """
AggregationRule: 1 clusterRoleSelectors *meta.v1.LabelSelector
ClusterRole: 1 metadata meta.v1.ObjectMeta, 2 rules *PolicyRule, 3 aggregationRule AggregationRule
ClusterRoleBinding: 1 metadata meta.v1.ObjectMeta, 2 subjects *Subject, 3 roleRef RoleRef
PolicyRule: 1 verbs *string, 2 apiGroups *string, 3 resources *string, 4 resourceNames *string,
  5 nonResourceURLs *string
Role: 1 metadata meta.v1.ObjectMeta, 2 rules *PolicyRule
RoleBinding: 1 metadata meta.v1.ObjectMeta, 2 subjects *Subject, 3 roleRef RoleRef
RoleRef: 1 apiGroup!, 2 kind!, 3 name!
Subject: 1 kind!, 2 apiGroup, 3 name!, 4 namespace
""",
    "storage.v1": """
StorageClass: 1 metadata meta.v1.ObjectMeta, 2 provisioner!, 3 parameters %string, 4 reclaimPolicy!,
  5 mountOptions *string, 6 allowVolumeExpansion! bool, 7 volumeBindingMode!,
  8 allowedTopologies *core.v1.TopologySelectorTerm
""",
}
