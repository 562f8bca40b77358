"""The structs of the Engine API 1.50 that requests carry (``api/types/swarm``, ``api/types/network``)."""

from __future__ import annotations

from .shapes import (
    BOOL,
    BYTES,
    DURATION,
    FLOAT32,
    INT,
    INT64,
    STRING,
    STRING_MAP,
    STRINGS,
    UINT32,
    UINT64,
    ListOf,
    Struct,
    always,
    pointer,
    text,
)

DRIVER = Struct("swarm.Driver", Name=STRING, Options=STRING_MAP)
PLATFORM = Struct("swarm.Platform", Architecture=STRING, OS=STRING)
PORT = Struct(
    "swarm.PortConfig",
    Name=STRING,
    Protocol=text("swarm.PortConfigProtocol"),
    TargetPort=UINT32,
    PublishedPort=UINT32,
    PublishMode=text("swarm.PortConfigPublishMode"),
)
ENDPOINT_SPEC = Struct("swarm.EndpointSpec", Mode=text("swarm.ResolutionMode"), Ports=ListOf(PORT))
ATTACHMENT = Struct("swarm.NetworkAttachmentConfig", Target=STRING, Aliases=STRINGS, DriverOpts=STRING_MAP)

_NAMED = Struct("swarm.NamedGenericResource", Kind=STRING, Value=STRING)
_DISCRETE = Struct("swarm.DiscreteGenericResource", Kind=STRING, Value=INT64)
GENERIC = Struct("swarm.GenericResource", NamedResourceSpec=pointer(_NAMED), DiscreteResourceSpec=pointer(_DISCRETE))
RESOURCES = Struct(
    "swarm.ResourceRequirements",
    Limits=pointer(Struct("swarm.Limit", NanoCPUs=INT64, MemoryBytes=INT64, Pids=INT64)),
    Reservations=pointer(
        Struct("swarm.Resources", NanoCPUs=INT64, MemoryBytes=INT64, GenericResources=ListOf(GENERIC))
    ),
)
RESTART = Struct(
    "swarm.RestartPolicy",
    Condition=text("swarm.RestartPolicyCondition"),
    Delay=pointer(DURATION),
    MaxAttempts=pointer(UINT64),
    Window=pointer(DURATION),
)
PLACEMENT = Struct(
    "swarm.Placement",
    Constraints=STRINGS,
    Preferences=ListOf(
        Struct("swarm.PlacementPreference", Spread=pointer(Struct("swarm.SpreadOver", SpreadDescriptor=STRING)))
    ),
    MaxReplicas=UINT64,
    Platforms=ListOf(PLATFORM),
)

_FILE = {"Name": always(STRING), "UID": always(STRING), "GID": always(STRING), "Mode": always(UINT32)}
SECRET_REFERENCE = Struct(
    "swarm.SecretReference",
    File=pointer(Struct("swarm.SecretReferenceFileTarget", **_FILE)),
    SecretID=always(STRING),
    SecretName=always(STRING),
)
CONFIG_REFERENCE = Struct(
    "swarm.ConfigReference",
    File=pointer(Struct("swarm.ConfigReferenceFileTarget", **_FILE)),
    Runtime=pointer(Struct("swarm.ConfigReferenceRuntimeTarget")),
    ConfigID=always(STRING),
    ConfigName=always(STRING),
)
MOUNT = Struct(
    "mount.Mount",
    Type=text("mount.Type"),
    Source=STRING,
    Target=STRING,
    ReadOnly=BOOL,
    Consistency=text("mount.Consistency"),
    BindOptions=pointer(
        Struct(
            "mount.BindOptions",
            Propagation=text("mount.Propagation"),
            NonRecursive=BOOL,
            CreateMountpoint=BOOL,
            ReadOnlyNonRecursive=BOOL,
            ReadOnlyForceRecursive=BOOL,
        )
    ),
    VolumeOptions=pointer(
        Struct(
            "mount.VolumeOptions",
            NoCopy=BOOL,
            Labels=STRING_MAP,
            Subpath=STRING,
            DriverConfig=pointer(Struct("mount.Driver", Name=STRING, Options=STRING_MAP)),
        )
    ),
    TmpfsOptions=pointer(Struct("mount.TmpfsOptions", SizeBytes=INT64, Mode=UINT32, Options=ListOf(STRINGS))),
)
HEALTH = Struct(
    "container.HealthConfig",
    Test=STRINGS,
    Interval=DURATION,
    Timeout=DURATION,
    StartPeriod=DURATION,
    StartInterval=DURATION,
    Retries=INT,
)
PRIVILEGES = Struct(
    "swarm.Privileges",
    CredentialSpec=pointer(
        Struct("swarm.CredentialSpec", Config=always(STRING), File=always(STRING), Registry=always(STRING))
    ),
    SELinuxContext=pointer(
        Struct(
            "swarm.SELinuxContext",
            Disable=always(BOOL),
            User=always(STRING),
            Role=always(STRING),
            Type=always(STRING),
            Level=always(STRING),
        )
    ),
    Seccomp=pointer(Struct("swarm.SeccompOpts", Mode=text("swarm.SeccompMode"), Profile=BYTES)),
    AppArmor=pointer(Struct("swarm.AppArmorOpts", Mode=text("swarm.AppArmorMode"))),
    NoNewPrivileges=always(BOOL),
)
CONTAINER_SPEC = Struct(
    "swarm.ContainerSpec",
    Image=STRING,
    Labels=STRING_MAP,
    Command=STRINGS,
    Args=STRINGS,
    Hostname=STRING,
    Env=STRINGS,
    Dir=STRING,
    User=STRING,
    Groups=STRINGS,
    Privileges=pointer(PRIVILEGES),
    Init=pointer(BOOL),
    StopSignal=STRING,
    TTY=BOOL,
    OpenStdin=BOOL,
    ReadOnly=BOOL,
    Mounts=ListOf(MOUNT),
    StopGracePeriod=pointer(DURATION),
    Healthcheck=pointer(HEALTH),
    Hosts=STRINGS,
    DNSConfig=pointer(Struct("swarm.DNSConfig", Nameservers=STRINGS, Search=STRINGS, Options=STRINGS)),
    Secrets=ListOf(SECRET_REFERENCE, pointers=True),
    Configs=ListOf(CONFIG_REFERENCE, pointers=True),
    Isolation=text("container.Isolation"),
    Sysctls=STRING_MAP,
    CapabilityAdd=STRINGS,
    CapabilityDrop=STRINGS,
    Ulimits=ListOf(Struct("units.Ulimit", Name=always(STRING), Hard=always(INT64), Soft=always(INT64)), pointers=True),
    OomScoreAdj=INT64,
)
TASK_SPEC = Struct(
    "swarm.TaskSpec",
    ContainerSpec=pointer(CONTAINER_SPEC),
    PluginSpec=pointer(Struct("runtime.PluginSpec", name=STRING, remote=STRING, disabled=BOOL)),
    NetworkAttachmentSpec=pointer(Struct("swarm.NetworkAttachmentSpec", ContainerID=STRING)),
    Resources=pointer(RESOURCES),
    RestartPolicy=pointer(RESTART),
    Placement=pointer(PLACEMENT),
    Networks=ListOf(ATTACHMENT),
    LogDriver=pointer(DRIVER),
    ForceUpdate=always(UINT64),
    Runtime=text("swarm.RuntimeType"),
)
UPDATE_CONFIG = Struct(
    "swarm.UpdateConfig",
    Parallelism=always(UINT64),
    Delay=DURATION,
    FailureAction=STRING,
    Monitor=DURATION,
    MaxFailureRatio=always(FLOAT32),
    Order=always(STRING),
)
SERVICE_SPEC = Struct(
    "swarm.ServiceSpec",
    Name=STRING,
    Labels=STRING_MAP,
    TaskTemplate=TASK_SPEC,
    Mode=Struct(
        "swarm.ServiceMode",
        Replicated=pointer(Struct("swarm.ReplicatedService", Replicas=pointer(UINT64))),
        Global=pointer(Struct("swarm.GlobalService")),
        ReplicatedJob=pointer(
            Struct("swarm.ReplicatedJob", MaxConcurrent=pointer(UINT64), TotalCompletions=pointer(UINT64))
        ),
        GlobalJob=pointer(Struct("swarm.GlobalJob")),
    ),
    UpdateConfig=pointer(UPDATE_CONFIG),
    RollbackConfig=pointer(UPDATE_CONFIG),
    Networks=ListOf(ATTACHMENT),
    EndpointSpec=pointer(ENDPOINT_SPEC),
)

NODE_SPEC = Struct(
    "swarm.NodeSpec",
    Name=STRING,
    Labels=STRING_MAP,
    Role=text("swarm.NodeRole"),
    Availability=text("swarm.NodeAvailability"),
)

CLUSTER_SPEC = Struct(
    "swarm.Spec",
    Name=STRING,
    Labels=STRING_MAP,
    Orchestration=Struct("swarm.OrchestrationConfig", TaskHistoryRetentionLimit=pointer(INT64)),
    Raft=Struct(
        "swarm.RaftConfig",
        SnapshotInterval=UINT64,
        KeepOldSnapshots=pointer(UINT64),
        LogEntriesForSlowFollowers=UINT64,
        ElectionTick=INT,
        HeartbeatTick=INT,
    ),
    Dispatcher=Struct("swarm.DispatcherConfig", HeartbeatPeriod=DURATION),
    CAConfig=Struct(
        "swarm.CAConfig",
        NodeCertExpiry=DURATION,
        ExternalCAs=ListOf(
            Struct(
                "swarm.ExternalCA",
                Protocol=always(text("swarm.ExternalCAProtocol")),
                URL=always(STRING),
                Options=STRING_MAP,
                CACert=always(STRING),
            ),
            pointers=True,
        ),
        SigningCACert=STRING,
        SigningCAKey=STRING,
        ForceRotate=UINT64,
    ),
    TaskDefaults=Struct("swarm.TaskDefaults", LogDriver=pointer(DRIVER)),
    EncryptionConfig=Struct("swarm.EncryptionConfig", AutoLockManagers=BOOL),
)
INIT_REQUEST = Struct(
    "swarm.InitRequest",
    ListenAddr=STRING,
    AdvertiseAddr=STRING,
    DataPathAddr=STRING,
    DataPathPort=UINT32,
    ForceNewCluster=BOOL,
    Spec=CLUSTER_SPEC,
    AutoLockManagers=BOOL,
    Availability=text("swarm.NodeAvailability"),
    DefaultAddrPool=STRINGS,
    SubnetSize=UINT32,
)
JOIN_REQUEST = Struct(
    "swarm.JoinRequest",
    ListenAddr=STRING,
    AdvertiseAddr=STRING,
    DataPathAddr=STRING,
    RemoteAddrs=STRINGS,
    JoinToken=STRING,
    Availability=text("swarm.NodeAvailability"),
)
UNLOCK_REQUEST = Struct("swarm.UnlockRequest", UnlockKey=STRING)

_IPAM_CONFIG = Struct(
    "network.IPAMConfig", Subnet=STRING, IPRange=STRING, Gateway=STRING, AuxiliaryAddresses=STRING_MAP
)
NETWORK_CREATE = Struct(
    "network.CreateRequest",
    Name=STRING,
    Driver=STRING,
    Scope=STRING,
    EnableIPv4=pointer(BOOL),
    EnableIPv6=pointer(BOOL),
    IPAM=pointer(Struct("network.IPAM", Driver=STRING, Options=STRING_MAP, Config=ListOf(_IPAM_CONFIG))),
    Internal=BOOL,
    Attachable=BOOL,
    Ingress=BOOL,
    ConfigOnly=BOOL,
    ConfigFrom=pointer(Struct("network.ConfigReference", Network=STRING)),
    Options=STRING_MAP,
    Labels=STRING_MAP,
    CheckDuplicate=pointer(BOOL),
)

_ENDPOINT_SETTINGS = Struct(
    "network.EndpointSettings",
    IPAMConfig=pointer(
        Struct("network.EndpointIPAMConfig", IPv4Address=STRING, IPv6Address=STRING, LinkLocalIPs=STRINGS)
    ),
    Links=STRINGS,
    Aliases=STRINGS,
    MacAddress=STRING,
    DriverOpts=STRING_MAP,
    GwPriority=INT,
)
NETWORK_CONNECT = Struct("network.ConnectOptions", Container=STRING, EndpointConfig=pointer(_ENDPOINT_SETTINGS))
NETWORK_DISCONNECT = Struct("network.DisconnectOptions", Container=STRING, Force=BOOL)

_TEMPLATING = pointer(DRIVER)
SECRET_SPEC = Struct(
    "swarm.SecretSpec", Name=STRING, Labels=STRING_MAP, Data=BYTES, Driver=pointer(DRIVER), Templating=_TEMPLATING
)
CONFIG_SPEC = Struct("swarm.ConfigSpec", Name=STRING, Labels=STRING_MAP, Data=BYTES, Templating=_TEMPLATING)
