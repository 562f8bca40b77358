"""The labels of an app, as a table: name, what it sets, how its text is read (``Longhelp.md`` of marathon-lb)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Json = dict[str, Any]
Read = Callable[[str], Any]

NO_TLS = "{label} is not done: this balancer speaks no TLS"


class BadLabel(ValueError):
    """The text of a label cannot be read; the service is left out, as an app that breaks the configuration is."""

    def __init__(self, label: str, text: str) -> None:
        super().__init__(f"cannot read {label}={text!r}")
        self.label = label


def truth(text: str) -> bool:
    """marathon-lb takes these four words for true, all others for false."""
    return text.lower() in ("true", "t", "yes", "y")


def _words(separator: str | None) -> Read:
    return lambda text: tuple(word.strip() for word in text.split(separator) if word.strip())


def _auth(text: str) -> tuple[str, str, str]:
    realm, user, password = text.split(":")
    return realm, user, password


def _mode(text: str) -> str:
    if text.lower() not in ("http", "tcp"):
        raise ValueError(text)
    return text.lower()


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise ValueError(text)
    return text


# HAPROXY_{n}_NAME -> (field of Service, how to read it)
SERVICE_LABELS: Mapping[str, tuple[str, Read]] = {
    "VHOST": ("vhosts", lambda text: _words(",")(_one_line(text).lower())),
    "GROUP": ("groups", _words(",")),
    "PATH": ("path", _one_line),
    "STICKY": ("sticky", truth),
    "ENABLED": ("enabled", truth),
    "MODE": ("mode", _mode),
    "BALANCE": ("balance", _one_line),
    "PORT": ("port", int),
    "BIND_ADDR": ("bind_addr", _one_line),
    "BIND_OPTIONS": ("bind_options", _one_line),
    "BACKEND_WEIGHT": ("weight", int),
    "AUTH": ("auth", _auth),
    "BACKEND_NETWORK_ALLOWED_ACL": ("allowed", _words(None)),
    "HTTP_BACKEND_PROXYPASS_PATH": ("proxy_path", _one_line),
    "HTTP_BACKEND_REVPROXY_PATH": ("rev_proxy_path", _one_line),
    "HTTP_BACKEND_REDIR": ("root_redirect", _one_line),
    "BACKEND_HEALTHCHECK_PORT_INDEX": ("check_index", int),
}

# They ask for TLS, for which there is no certificate here.
REFUSED = ("REDIRECT_TO_HTTPS", "SSL_CERT", "USE_HSTS")

# Templates that a label of a service may replace: HAPROXY_{n}_BACKEND_HEAD…
TEMPLATES = (
    "FRONTEND_HEAD", "FRONTEND_BACKEND_GLUE", "BACKEND_HEAD", "BACKEND_HTTP_OPTIONS", "BACKEND_STICKY_OPTIONS",
    "BACKEND_HTTP_HEALTHCHECK_OPTIONS", "BACKEND_TCP_HEALTHCHECK_OPTIONS", "BACKEND_SERVER_OPTIONS",
    "BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS", "BACKEND_SERVER_TCP_HEALTHCHECK_OPTIONS", "USERLIST_HEAD",
    "HTTP_FRONTEND_ACL", "HTTP_FRONTEND_ACL_WITH_PATH", "HTTP_FRONTEND_APPID_ACL",
    "HTTP_BACKEND_PROXYPASS_GLUE", "HTTP_BACKEND_REVPROXY_GLUE",
)  # fmt: skip


def service_fields(labels: Mapping[str, str], index: int) -> Json:
    """What the labels of the ``index``-th service port say, as fields of a service. Raises :class:`BadLabel`."""
    found: Json = {}
    notes = []
    for name, (wanted, read) in SERVICE_LABELS.items():
        label = f"HAPROXY_{index}_{name}"
        text = labels.get(label)
        if text is None:
            continue
        try:
            found[wanted] = read(text)
        except ValueError:
            raise BadLabel(label, text) from None
    # A path is more special than none, so its rule comes first unless a weight says otherwise.
    if "path" in found and not found.get("weight"):
        found["weight"] = 1
    for name in REFUSED:
        label = f"HAPROXY_{index}_{name}"
        if truth(labels.get(label, "")) or (name == "SSL_CERT" and label in labels):
            notes.append(NO_TLS.format(label=label))
    overridden = tuple(
        (name, labels[f"HAPROXY_{index}_{name}"].replace("\r\n", "\n"))
        for name in TEMPLATES
        if f"HAPROXY_{index}_{name}" in labels
    )
    return {**found, "templates": overridden, "notes": tuple(notes)}
