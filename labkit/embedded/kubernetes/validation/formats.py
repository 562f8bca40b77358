"""Forms of names and other strings, and what is said of one that does not have it.

The patterns and words of ``k8s.io/apimachinery/pkg/util/validation`` and ``pkg/api/validate/content`` (v0.36.1). Each
function gives the complaints about a string, none when it is fine. Names come again and again, so answers are kept.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable

Complaints = tuple[str, ...]
Form = Callable[[str], Complaints]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_UNDERSCORE = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_SUBDOMAIN_UNDERSCORE = rf"{_LABEL_UNDERSCORE}(\.{_LABEL_UNDERSCORE})*"
_KEY = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_PERCENT = "[0-9]+%"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"
_HEADER = "[-A-Za-z0-9]+"

MAX_LABEL = 63
MAX_SUBDOMAIN = 253

_cached = functools.lru_cache(maxsize=20_000)


def _longer(value: str, limit: int, unit: str = "characters") -> Complaints:
    return (f"must be no more than {limit} {unit}",) if len(value.encode()) > limit else ()


def _against(pattern: str, words: str, *examples: str) -> Callable[[str], Complaints]:
    """A check of the whole string against a pattern, with the words of ``validation.RegexError``."""
    compiled = re.compile(pattern)
    shown = " or ".join(f"'{example}', " for example in examples)
    complaint = f"{words} ({f'e.g. {shown}' if shown else ''}regex used for validation is '{pattern}')"

    def check(value: str) -> Complaints:
        return () if compiled.fullmatch(value) else (complaint,)

    return check


_label = _against(
    _LABEL,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character",
    "my-name", "123-abc",
)  # fmt: skip
_subdomain = _against(
    _SUBDOMAIN,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character",
    "example.com",
)
_subdomain_underscore = _against(
    _SUBDOMAIN_UNDERSCORE,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', "
    "and must start and end with an alphanumeric character",
    "example.com",
)
_KEY_WORDS = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_key = _against(_KEY, _KEY_WORDS, "MyName", "my.name", "123-abc")
_value = _against(
    f"({_KEY})?",
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character",
    "MyValue", "my_value", "12345",
)  # fmt: skip
_config_key = _against(
    _CONFIG_KEY,
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "key.name", "KEY_NAME", "key-name",
)  # fmt: skip
percent = _against(_PERCENT, "a valid percent string must be a numeric string followed by an ending '%'", "1%", "93%")
header_name = _against(_HEADER, "a valid HTTP header must consist of alphanumeric characters or '-'", "X-Header-Name")


http_path = _against("[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+", "Invalid path")


@_cached
def dns_label(value: str) -> Complaints:
    """RFC 1123 label: names of containers, volumes, namespaces, services (which 1.36 relaxed from RFC 1035)."""
    complaints = _label(value)
    if complaints and not _subdomain(value):
        complaints = ("must not contain dots",)
    return _longer(value, MAX_LABEL) + complaints


@_cached
def dns_subdomain(value: str) -> Complaints:
    """RFC 1123 subdomain: the names of most objects."""
    return _longer(value, MAX_SUBDOMAIN) + _subdomain(value)


@_cached
def dns_subdomain_with_underscore(value: str) -> Complaints:
    return _longer(value, MAX_SUBDOMAIN) + _subdomain_underscore(value)


@_cached
def qualified_name(value: str) -> Complaints:
    """A label's key, an annotation's, a resource's, a finalizer's: ``example.com/name`` or ``name``."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        (words,) = _key("/")
        return (f"a valid label key {words} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    complaints: Complaints = ()
    if slash and not prefix:
        complaints += ("prefix part must be non-empty",)
    elif slash:
        complaints += tuple(f"prefix part {words}" for words in dns_subdomain(prefix))
    if not name:
        complaints += ("name part must be non-empty",)
    else:
        complaints += tuple(f"name part {words}" for words in _longer(name, MAX_LABEL, "bytes"))
    return complaints + tuple(f"name part {words}" for words in _key(name))


@_cached
def label_value(value: str) -> Complaints:
    return _longer(value, MAX_LABEL, "bytes") + _value(value)


@_cached
def config_key(value: str) -> Complaints:
    """A key of a ConfigMap or Secret: it becomes a file's name."""
    return _longer(value, MAX_SUBDOMAIN) + _config_key(value) + _parent(value)


def _parent(value: str) -> Complaints:
    if value in (".", ".."):
        return (f"must not be '{value}'",)
    return ("must not start with '..'",) if value.startswith("..") else ()


@_cached
def env_name(value: str) -> Complaints:
    """Since 1.34 any printable ASCII but ``=``."""
    if not value:
        return ("environment variable name must be non-empty",)
    if all(" " <= char <= "~" and char != "=" for char in value):
        return ()
    return ("a valid environment variable name must consist only of printable ASCII characters other than '='",)


@_cached
def port_name(value: str) -> Complaints:
    """IANA service name: names of containers' ports."""
    complaints = _longer(value, 15)
    if not re.fullmatch("[-a-z0-9]+", value):
        complaints += ("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",)
    if not re.search("[a-z]", value):
        complaints += ("must contain at least one letter (a-z)",)
    if "--" in value:
        complaints += ("must not contain consecutive hyphens",)
    if value and (value[0] == "-" or value[-1] == "-"):
        complaints += ("must not begin or end with a hyphen",)
    return complaints


def port_number(value: int) -> Complaints:
    return () if 1 <= value <= 65535 else ("must be between 1 and 65535, inclusive",)


_NO_IP = ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)
_NO_CIDR = ("must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)",)
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN_IPV4 = re.compile(rf"{_OCTET}(\.{_OCTET}){{3}}")


@_cached
def ip(value: str) -> Complaints:
    """An IP address, strictly (``StrictIPCIDRValidation`` is on since 1.36)."""
    if _PLAIN_IPV4.fullmatch(value):  # each pod has another one, and the library takes its time
        return ()
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        try:
            ipaddress.IPv4Address(_ZEROS.sub("", value))
        except ValueError:
            return _NO_IP
        return ("must not have leading 0s",)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return _NO_IP
        if address.ipv4_mapped is not None:
            return ("must not be an IPv4-mapped IPv6 address",)
    return ()


@_cached
def cidr(value: str) -> Complaints:
    if "/" not in value or not value.rpartition("/")[2].isdecimal():
        return _NO_CIDR
    try:
        network = ipaddress.ip_interface(value)
    except ValueError:
        return _NO_CIDR
    if network.ip != network.network.network_address:
        return ("must not have bits set beyond the prefix length",)
    return ()


def path_segment(value: str) -> Complaints:
    """What an object's name must at least be, so that it can stand in a URL."""
    if value in (".", ".."):
        return (f"may not be '{value}'",)
    return tuple(f"may not contain '{part}'" for part in ("/", "%") if part in value)


def prefixed(form: Form, value: str) -> Complaints:
    """A ``generateName``: something follows, so that it may end in a dash.

    The real one masks the last *two* characters then (``maskTrailingDash`` cuts one too many), and so does this.
    """
    return form(value[:-2] + "a") if len(value) > 1 and value.endswith("-") else form(value)
