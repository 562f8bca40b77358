"""The pieces of a configuration. Those that a label may replace have the real names and take the real fields."""

from __future__ import annotations

# Two things differ from marathon-lb's pieces because the tasks here are small and die fast: a lost connection is tried
# on another server at once (redispatch 1), and a GET that got no answer at all is tried again.
HEAD = """\
# Written by labkit's marathon-lb; it is written anew whenever the apps change.
global
  maxconn 2000
  no strict-limits
  nbthread 1
  hard-stop-after 10m
  spread-checks 5
  max-spread-checks 15000
  stats socket {stats_socket} mode 600 level admin expose-fd listeners
defaults
  mode tcp
  retries 3
  backlog 1024
  maxconn 1000
  timeout connect 3s
  timeout client 30s
  timeout server 30s
  timeout tunnel 1h
  timeout http-keep-alive 1s
  timeout http-request 15s
  timeout queue 30s
  timeout tarpit 60s
  option redispatch 1
  option http-server-close
  option idle-close-on-response
  option dontlognull

frontend stats
  bind {address}:{stats_port}
  mode http
  stats enable
  stats refresh 5s
  monitor-uri /_haproxy_health_check
  use_backend labkit_pages if {{ path_beg /_haproxy_get /_mlb_signal/ }}

backend labkit_pages
  mode http
  server pages unix@{pages_socket}
"""

HTTP_FRONTEND_HEAD = """
frontend marathon_http_in
  bind {address}:{http_port}
  mode http
"""

HTTP_FRONTEND_APPID_HEAD = """
frontend marathon_http_appid_in
  bind {address}:{app_id_port}
  mode http
"""

TEMPLATES = {
    "USERLIST_HEAD": """
userlist user_{backend}
  user {user} password {passwd}
""",
    "FRONTEND_HEAD": """
frontend {backend}
  bind {bindAddr}:{servicePort}{sslCert}{bindOptions}
  mode {mode}
""",
    "FRONTEND_BACKEND_GLUE": """\
  default_backend {backend}
""",
    "BACKEND_HEAD": """
backend {backend}
  mode {mode}
  balance {balance}
""",
    "BACKEND_HTTP_OPTIONS": """\
  option forwardfor
  http-request set-header X-Forwarded-Port %[dst_port]
  retry-on conn-failure empty-response
  http-request disable-l7-retry unless METH_GET
""",
    # The port of the Host header is left out: without a privilege the front end is not on port 80.
    "HTTP_FRONTEND_ACL": """\
  acl host_{cleanedUpHostname} req.hdr(host),field(1,:) -i {hostname}
  use_backend {backend} if host_{cleanedUpHostname}
""",
    "HTTP_FRONTEND_ACL_WITH_PATH": """\
  acl host_{cleanedUpHostname} req.hdr(host),field(1,:) -i {hostname}
  acl path_{backend} path_beg {path}
  use_backend {backend} if host_{cleanedUpHostname} path_{backend}
""",
    "HTTP_FRONTEND_APPID_ACL": """\
  acl app_{cleanedUpAppId} req.hdr(x-marathon-app-id) -i {appId}
  use_backend {backend} if app_{cleanedUpAppId}
""",
    "HTTP_BACKEND_PROXYPASS_GLUE": """\
  http-request set-header Host {hostname}
  http-request replace-path {proxypath}/?(.*) /\\1
""",
    "HTTP_BACKEND_REVPROXY_GLUE": """\
  http-response replace-header Location (?:https?://{hostname}(?::[0-9]+)?)?(/.*) {rootpath}\\1
""",
    "HTTP_BACKEND_REDIR": """\
  http-request redirect code 301 location {redirpath} if {{ path / }}
""",
    "BACKEND_STICKY_OPTIONS": """\
  cookie mesosphere_server_id insert indirect nocache
""",
    "BACKEND_HTTP_HEALTHCHECK_OPTIONS": """\
  option httpchk GET {healthCheckPath}
  timeout check {healthCheckTimeoutSeconds}s
""",
    "BACKEND_TCP_HEALTHCHECK_OPTIONS": "",
    "BACKEND_SERVER_OPTIONS": """\
  server {serverName} {host_ipv4}:{port} id {serverId}{cookieOptions}{healthCheckOptions}{otherOptions}
""",
    "BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS": (
        "check inter {healthCheckIntervalSeconds}s fall {healthCheckFalls}{healthCheckPortOptions}"
    ),
    "BACKEND_SERVER_TCP_HEALTHCHECK_OPTIONS": (
        "check inter {healthCheckIntervalSeconds}s fall {healthCheckFalls}{healthCheckPortOptions}"
    ),
}

HTTP_AUTH = """\
  http-request auth realm "{realm}" unless {{ http_auth(user_{backend}) }}
"""
HTTP_ALLOWED = """\
  http-request deny unless {{ src {networks} }}
"""
TCP_ALLOWED = """\
  tcp-request content reject unless {{ src {networks} }}
"""
