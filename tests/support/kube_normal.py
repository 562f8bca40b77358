"""What kubectl says, without what must be different each time: ages, hashes, addresses, names of machines."""

from __future__ import annotations

import re
from collections.abc import Mapping

# What the API server makes random names of: no vowels, nothing that reads like another character.
_RANDOM = "[bcdfghjklmnpqrstvwxz2456789]"
_AGE = r"(?:\d+(?:\.\d+)?(?:ms|µs|[smhdy]))+|<invalid>"

# In this order: the longer forms before those that are parts of them.
_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"\x1b\[[\d;]*m", ""),
    # kubectl's own log, which says the same once or five times.
    (r"(?m)^[IWE]\d{4} \d\d:\d\d:\d\d.*\n", ""),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "UID"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d| [+-]\d{4} \w+)", "TIME"),
    (r"\b\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
    (r"\bsha256:[0-9a-f]{64}\b", "sha256:ID"),
    (r"\b[0-9a-f]{64}\b", "ID"),
    (r"[\w./-]+@sha256:ID", "IMAGE@sha256:ID"),
    (r"\b(\d{1,3}\.){3}\d{1,3}\b", "IP"),
    (r"(?<![:\w])v1\.\d+\.\d+(?:\+\w+)?\b", "VERSION"),
    (r"(resourceVersion\"?: )\"?\d+\"?", r"\1RV"),
    (r"(resourceVersion\"?[=:]\s*)\"?\d+\"?", r"\1RV"),
    (rf"-{_RANDOM}{{8,10}}-{_RANDOM}{{5}}\b", "-HASH-RANDOM"),
    (rf"((?:pod-template|controller-revision)-hash\"?[:=] ?\"?){_RANDOM}{{5,10}}\b", r"\1HASH"),
    (rf"(?<=[a-z0-9])-(?=[a-z]*\d){_RANDOM}{{8,10}}(?![\w-])", "-HASH"),
    (rf"(?<=[a-z0-9])-{_RANDOM}{{5}}(?![\w-])", "-RANDOM"),
    (r"(?<=[a-z0-9])\.1[0-9a-f]{15}\b", ".EVENT"),
    (r"\b3[012]\d{3}(?=/TCP|/UDP)", "NODEPORT"),
    (r"(nodePort\"?: )3[012]\d{3}", r"\1NODEPORT"),
    # A kubelet that has not yet heard of what a new pod mounts tries again.
    (r"(?m)^.*FailedMount .*timed out waiting for the condition\n", ""),
    # Two of a real cluster's controllers now and then meet at an EndpointSlice, and one tries again.
    (r"(?m)^Events:\n  Type .*\n  ----.*\n(?:.*FailedToUpdateEndpointSlices .*(?:\n|\Z))+(?!  )", "Events:  <none>\n"),
    (r"(?m)^.*FailedToUpdateEndpointSlices .*\n", ""),
    # Whether a machine has an image already is its own affair.
    (r".*Pulling image \"\S+\"\n", ""),
    (r"Container image (\"\S+\") already present on machine.*", r"Image \1 is there"),
    (r"Successfully pulled image (\"\S+\") in .*", r"Image \1 is there"),
)
_LATER: tuple[tuple[str, str], ...] = (
    # The end of a node's line in `get nodes -o wide`: what this machine is made of.
    (r"(IP  <none>)  \S.*containerd://\S+$", r"\1  SYSTEM  KERNEL  RUNTIME"),
    (rf"(?:(?<=^)|(?<=  )(?<!cpu:  ))(?:{_AGE})(?=$|  | \()", "AGE"),
    (rf"\((?:{_AGE}) ago\)", "(AGE ago)"),
    (rf"\(x(\d+) over (?:{_AGE})\)", "(xN over AGE)"),
    (rf"  (?:{_AGE}) \(xN", "  AGE (xN"),
)
_COMPILED = tuple((re.compile(pattern), to) for pattern, to in _PATTERNS)
_COMPILED_LATER = tuple((re.compile(pattern), to) for pattern, to in _LATER)
_GAP = re.compile(r"(?<=\S)(?: {2,}|\s*\t\s*)")
_FAR = re.compile(r"^ {7,}")
_EVENT = re.compile(r"\s+(Normal|Warning)  \S+  ")


def normal(text: str, names: Mapping[str, str]) -> list[str]:
    """The lines of an output with words for what differs; `names` are this run's own (machines, namespace, folder).

    Columns stand two blanks apart whatever their width, empty lines are left out, and of the events beneath an
    object (`describe`), which have no order within a second, the order is the alphabet's, as it is of a ConfigMap's
    keys.
    """
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, names[name])
    for pattern, to in _COMPILED:
        text = pattern.sub(to, text)
    # How far a second label stands in goes by the longest title, which differs by version.
    told = text.startswith("Name:")
    json_like = text.lstrip()[:1] in ("{", "[")
    lines = []
    for line in text.splitlines():
        line = _GAP.sub("  ", line.rstrip())
        if json_like:  # whether more follows is not a line's own
            line = line.removesuffix(",")
        if told:
            line = _FAR.sub("      ", line)
        for pattern, to in _COMPILED_LATER:
            line = pattern.sub(to, line)
        if line:
            lines.append(line)
    return _with_sorted_events(_with_sorted_data(lines))


def _with_sorted_data(lines: list[str]) -> list[str]:
    """The keys of a ConfigMap in order: kubectl walks a map of Go, which begins anywhere."""
    if "Data" not in lines or "BinaryData" not in lines:
        return lines
    start, end = lines.index("Data") + 2, lines.index("BinaryData")
    entries: list[list[str]] = []
    for line, following in zip(lines[start:end], lines[start + 1 : end + 1], strict=True):
        if following == "----" or not entries:
            entries.append([])
        entries[-1].append(line)
    return [*lines[:start], *(line for entry in sorted(entries) for line in entry), *lines[end:]]


def _with_sorted_events(lines: list[str]) -> list[str]:
    kept: list[str] = []
    events: list[str] = []
    for line in lines:
        if _EVENT.match(line):
            events.append(line)
            continue
        kept += sorted(events)
        events = []
        kept.append(line)
    return kept + sorted(events)
