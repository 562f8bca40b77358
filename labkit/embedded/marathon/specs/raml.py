"""The types of Marathon's API, as tables (``docs/docs/rest-api/public/api/v2/types/*.raml``)."""

from __future__ import annotations

import re
from typing import Any

from labkit.embedded.marathon.specs.reader import (
    Object,
    array,
    at_least,
    at_most,
    boolean,
    double,
    either,
    field,
    int32,
    int64,
    longer,
    mapping,
    moment,
    one_of,
    pattern,
    shorter,
    string,
)

# -- stringTypes.raml, numberTypes.raml, label.raml

_NAME = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_PATH_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*|\.\.|")


def _path_id(value: str) -> str | None:
    return None if all(_PATH_NAME.fullmatch(name) for name in value.split("/")) else "error.pattern"


PATH_ID = (longer(1), _path_id)
LEGACY_NAME = (longer(1), pattern(_NAME))
NETWORK_NAME = (longer(1), shorter(63), pattern(r"[a-z0-9]([-a-z0-9_]*[a-z0-9])?"))
URI = PATH = (longer(1), shorter(1024))
ANY_PORT = (at_least(0), at_most(65535))
NOT_NEGATIVE = (at_least(0),)
HTTP_SCHEME = one_of("HTTP", "HTTPS")
PROTOCOL = one_of("tcp", "udp", "udp,tcp")
READ_MODE = one_of("RO", "RW")
LABELS = mapping(string)
strings = array(string)
string_set = array(string, unique=True)


# -- artifact.raml, secrets.raml, environmentVariable.raml, constraint.raml, resources.raml

ARTIFACT = Object(
    "Artifact",
    field("uri", string, *URI),
    field("extract?", boolean, default=True),
    field("executable?", boolean, default=False),
    field("cache?", boolean, default=False),
    field("destPath?", string, *PATH),
)
SECRET = Object("SecretDef", field("source", string, longer(1)))
ENV_VAR = either(string, Object("EnvVarSecret", field("secret", string)))
CONSTRAINTS = array(strings, unique=True)
EXECUTOR_RESOURCES = Object(
    "ExecutorResources",
    field("cpus?", double, at_least(0.1), default=0.1),
    field("mem?", double, at_least(32), default=32.0),
    field("disk?", double, at_least(10), default=10.0),
)
RESOURCE_LIMIT = either(string, double)
RESOURCE_LIMITS = Object("ResourceLimits", field("cpus?", RESOURCE_LIMIT), field("mem?", RESOURCE_LIMIT))

# -- network.raml

NETWORK = Object(
    "Network",
    field("name?", string, *NETWORK_NAME),
    field("mode?", one_of("container", "container/bridge", "host"), default="container"),
    field("labels?", LABELS, drop_empty=True),
)
PORT_DEFINITION = Object(
    "PortDefinition",
    field("port?", int32, *ANY_PORT, default=0),
    field("labels?", LABELS, drop_empty=True),
    field("name?", string, *LEGACY_NAME),
    field("protocol?", PROTOCOL, default="tcp"),
)
IP_DISCOVERY_PORT = Object(
    "IpDiscoveryPort",
    field("number?", int32, *ANY_PORT, default=0),
    field("name", string, *LEGACY_NAME),
    field("protocol?", PROTOCOL, default="tcp"),
    field("labels?", LABELS, drop_empty=True),
)
IP_ADDRESS = Object(
    "IpAddress",
    field("discovery?", Object("IpDiscovery", field("ports?", array(IP_DISCOVERY_PORT), drop_empty=True))),
    field("groups?", string_set, drop_empty=True),
    field("labels?", LABELS, drop_empty=True),
    field("networkName?", string, longer(1)),
)

# -- volumes.raml

PERSISTENT = Object(
    "PersistentVolumeInfo",
    field("type?", one_of("root", "path", "mount")),
    field("size", int64, *NOT_NEGATIVE),
    field("maxSize?", int64, *NOT_NEGATIVE),
    field("profileName?", string),
    field("constraints?", CONSTRAINTS, default=[]),
)
_CSI_CAPABILITY = Object(
    "CSICapability",
    field(
        "accessMode",
        one_of(
            "SINGLE_NODE_WRITER",
            "SINGLE_NODE_READER_ONLY",
            "MULTI_NODE_READER_ONLY",
            "MULTI_NODE_SINGLE_WRITER",
            "MULTI_NODE_MULTI_WRITER",
        ),
    ),
    field("accessType", one_of("block", "mount")),
    field("fsType?", string),
    field("mountFlags?", strings, drop_empty=True),
)
_CSI_OPTIONS = Object(
    "CSIExternalVolumeInfoOptions",
    field("pluginName", string, longer(1)),
    field("capability", _CSI_CAPABILITY),
    field("nodeStageSecret?", LABELS, drop_empty=True),
    field("nodePublishSecret?", LABELS, drop_empty=True),
    field("volumeContext?", LABELS, drop_empty=True),
)
CSI = Object(
    "CSIExternalVolumeInfo",
    field("name", string),
    field("provider", one_of("csi")),
    field("options", _CSI_OPTIONS),
)
DVDI = Object(
    "DVDIExternalVolumeInfo",
    field("size?", int64, *NOT_NEGATIVE),
    field("name?", string),
    field("provider?", string),
    field("options?", LABELS, drop_empty=True),
    field("shared?", boolean, default=False),
)
_CONTAINER_PATH = field("containerPath", string, longer(1))
_MODE = field("mode", READ_MODE)
VOLUME = either(
    Object("AppPersistentVolume", _CONTAINER_PATH, field("persistent", PERSISTENT), _MODE),
    Object("AppExternalVolume", _CONTAINER_PATH, field("external", either(DVDI, CSI)), _MODE),
    Object("AppSecretVolume", _CONTAINER_PATH, field("secret", string, longer(1))),
    Object("AppHostVolume", _CONTAINER_PATH, field("hostPath", string, longer(1)), _MODE),
)

# -- appContainer.raml, docker.raml, linux.raml

PORT_MAPPING = Object(
    "ContainerPortMapping",
    field("containerPort?", int32, *ANY_PORT, default=0),
    field("hostPort?", int32, *ANY_PORT),
    field("labels?", LABELS, default={}),
    field("name?", string, *LEGACY_NAME),
    field("protocol?", PROTOCOL, default="tcp"),
    field("servicePort?", int32, *ANY_PORT, default=0),
    field("networkNames?", strings, drop_empty=True),
)
DOCKER = Object(
    "DockerContainer",
    field("credential?", Object("DockerCredentials", field("principal", string), field("secret?", string))),
    field("pullConfig?", Object("DockerPullConfig", field("secret", string, longer(1)))),
    field("forcePullImage?", boolean, default=False),
    field("image", string, longer(1)),
    field("network?", one_of("BRIDGE", "HOST", "NONE", "USER")),
    field(
        "parameters?",
        array(Object("DockerParameter", field("key", string, longer(1)), field("value", string))),
        default=[],
    ),
    field("portMappings?", array(PORT_MAPPING)),
    field("privileged?", boolean, default=False),
)
LINUX_INFO = Object(
    "LinuxInfo",
    field("seccomp?", Object("Seccomp", field("profileName?", string), field("unconfined?", boolean, default=False))),
    field("ipcInfo?", Object("IPCInfo", field("mode", one_of("PRIVATE", "SHARE_PARENT")), field("shmSize?", int32))),
)
CONTAINER = Object(
    "Container",
    field("type?", one_of("MESOS", "DOCKER"), default="DOCKER"),
    field("docker?", DOCKER),
    field("linuxInfo?", LINUX_INFO),
    field("volumes?", array(VOLUME), default=[]),
    field("portMappings?", array(PORT_MAPPING)),
)

# -- mesosCommand.raml, check.raml, healthCheck.raml, readinessCheck.raml

_PORT = (field("port?", int32, *ANY_PORT), field("portIndex?", int32, *ANY_PORT))


def _seconds(name: str, default: int) -> Any:
    return field(name, int32, *NOT_NEGATIVE, default=default)


COMMAND = either(
    Object("ShellCommand", field("shell", string, longer(1))),
    Object("ArgvCommand", field("argv", strings, longer(1))),
)
CHECK = Object(
    "AppCheck",
    field(
        "http?",
        Object("AppHttpCheck", *_PORT, field("path?", string, *PATH), field("scheme?", HTTP_SCHEME, default="HTTP")),
    ),
    field("tcp?", Object("AppTcpCheck", *_PORT)),
    field("exec?", Object("CommandCheck", field("command", COMMAND))),
    _seconds("intervalSeconds?", 60),
    _seconds("timeoutSeconds?", 20),
    _seconds("delaySeconds?", 15),
)
HEALTH_CHECK = Object(
    "AppHealthCheck",
    field("command?", Object("AppCommandCheck", field("value", string))),
    _seconds("gracePeriodSeconds?", 300),
    field("ignoreHttp1xx?", boolean),
    _seconds("intervalSeconds?", 60),
    field("maxConsecutiveFailures?", int32, *NOT_NEGATIVE, default=3),
    field("path?", string),
    *_PORT,
    field(
        "protocol?", one_of("HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_TCP", "MESOS_HTTP", "MESOS_HTTPS"), default="HTTP"
    ),
    field("ipProtocol?", one_of("IPv4", "IPv6"), default="IPv4"),
    field("timeoutSeconds?", int32, default=20),
    _seconds("delaySeconds?", 15),
)
READINESS_CHECK = Object(
    "ReadinessCheck",
    field("name?", string, longer(1), default="readinessCheck"),
    field("protocol?", HTTP_SCHEME, default="HTTP"),
    field("path?", string, *PATH, default="/"),
    field("portName?", string, *LEGACY_NAME, default="http-api"),
    _seconds("intervalSeconds?", 30),
    field("timeoutSeconds?", int32, at_least(1), default=10),
    field("httpStatusCodesForReady?", array(int32, unique=True), longer(1)),
    field("preserveLastResponse?", boolean, default=False),
)

# -- unreachableStrategy.raml, app.raml

UNREACHABLE_STRATEGY = either(
    one_of("disabled"),
    Object(
        "UnreachableEnabled",
        field("inactiveAfterSeconds?", int64, *NOT_NEGATIVE, default=0),
        field("expungeAfterSeconds?", int64, *NOT_NEGATIVE, default=0),
    ),
)
UPGRADE_STRATEGY = Object(
    "UpgradeStrategy",
    field("maximumOverCapacity", double, at_least(0), at_most(1)),
    field("minimumHealthCapacity", double, at_least(0), at_most(1)),
)
RESIDENCY = Object(
    "AppResidency",
    field("relaunchEscalationTimeoutSeconds?", int64, *NOT_NEGATIVE, default=3600),
    field("taskLostBehavior?", one_of("WAIT_FOREVER", "RELAUNCH_AFTER_TIMEOUT"), default="WAIT_FOREVER"),
)
VERSION_INFO = Object("VersionInfo", field("lastScalingAt", moment), field("lastConfigChangeAt", moment))

APP = Object(
    "App",
    field("id", string, *PATH_ID),
    field("acceptedResourceRoles?", string_set),
    field("args?", strings, drop_empty=True),
    field("backoffFactor?", double, at_least(1), default=1.15),
    field("backoffSeconds?", int32, *NOT_NEGATIVE, default=1),
    field("cmd?", string, longer(1)),
    field("constraints?", CONSTRAINTS, drop_empty=True),
    field("container?", CONTAINER),
    field("cpus?", double, at_least(0.001), default=1.0),
    field("dependencies?", string_set, drop_empty=True),
    field("disk?", double, *NOT_NEGATIVE, default=0.0),
    field("env?", mapping(ENV_VAR), drop_empty=True),
    field("executor?", string, pattern(r"(//cmd)|(/?[^/]+(/[^/]+)*)|"), default=""),
    field("executorResources?", EXECUTOR_RESOURCES),
    field("fetch?", array(ARTIFACT), drop_empty=True),
    field("healthChecks?", array(HEALTH_CHECK, unique=True), drop_empty=True),
    field("check?", CHECK),
    field("instances?", int32, *NOT_NEGATIVE, default=1),
    field("labels?", LABELS, default={}),
    field("maxLaunchDelaySeconds?", int32, *NOT_NEGATIVE, default=300),
    field("mem?", double, *NOT_NEGATIVE, default=128.0),
    field("gpus?", int32, *NOT_NEGATIVE, default=0),
    field("ipAddress?", IP_ADDRESS),
    field("networks?", array(NETWORK), default=[]),
    field("ports?", array(int32)),
    field("portDefinitions?", array(PORT_DEFINITION)),
    field("readinessChecks?", array(READINESS_CHECK), drop_empty=True),
    field("residency?", RESIDENCY),
    field("resourceLimits?", RESOURCE_LIMITS),
    field("requirePorts?", boolean, default=False),
    field("secrets?", mapping(SECRET), drop_empty=True),
    field("taskKillGracePeriodSeconds?", int32, *NOT_NEGATIVE),
    field("upgradeStrategy?", UPGRADE_STRATEGY),
    field("uris?", strings),
    field("user?", string),
    field("version?", moment),
    field("versionInfo?", VERSION_INFO),
    field("killSelection?", one_of("YOUNGEST_FIRST", "OLDEST_FIRST"), default="YOUNGEST_FIRST"),
    field("unreachableStrategy?", UNREACHABLE_STRATEGY),
    field("tty?", boolean),
    field("role?", string, longer(1)),
)

# -- group.raml


def _group_update(value: Any, path: str, errors: Any) -> Any:
    return GROUP_UPDATE(value, path, errors)


GROUP_UPDATE = Object(
    "GroupUpdate",
    field("id?", string, *PATH_ID),
    field("apps?", array(APP, unique=True)),
    field("groups?", array(_group_update)),
    field("dependencies?", string_set),
    field("scaleBy?", double, *NOT_NEGATIVE),
    field("version?", moment),
    field("enforceRole?", boolean),
)
GROUP_PARTIAL_UPDATE = Object("GroupPartialUpdate", field("enforceRole?", boolean))
