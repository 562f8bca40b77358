"""The tools of busybox, each an ``async (context) -> exit code``, in modules by what they work on."""

from __future__ import annotations

from labkit.embedded.runtime.shell.applets import (
    archives,
    conditions,
    copying,
    files,
    finding,
    linking,
    listing,
    net,
    output,
    owning,
    running,
    search,
    system,
    text,
    webserver,
)
from labkit.embedded.runtime.shell.context import Applet

APPLETS: dict[str, Applet] = {
    **output.TABLE,
    **text.TABLE,
    **search.TABLE,
    **running.TABLE,
    **files.TABLE,
    **copying.TABLE,
    **finding.TABLE,
    **linking.TABLE,
    **listing.TABLE,
    **owning.TABLE,
    **system.TABLE,
    **net.TABLE,
    **conditions.TABLE,
    **webserver.TABLE,
    **archives.TABLE,
}
