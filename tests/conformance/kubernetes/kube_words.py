"""Where the API server's words differ by version: each said once, by the first version that says it so.

Values are regular expressions with `{names}` filled in (escaped). The greatest version not above the engine's counts.
"""

from __future__ import annotations

import re
from typing import Any

Version = tuple[int, int]

_BAD_KEY = "invalid character 'b' looking for beginning of object key string"

TABLE: dict[str, dict[Version, str]] = {
    "malformed json patch": {(1, 20): f"400 {_BAD_KEY}", (1, 25): f"400 error decoding patch: {_BAD_KEY}"},
    "malformed strategic patch": {(1, 20): f"400 {_BAD_KEY}", (1, 25): f"400 error decoding patch: {_BAD_KEY}"},
    "malformed merge patch": {(1, 20): "500 Invalid JSON Patch", (1, 25): f"400 error decoding patch: {_BAD_KEY}"},
    "malformed apply patch": {
        (1, 20): "400 error decoding YAML: error converting YAML to JSON: yaml: line .: "
        "did not find expected ',' or '}'"
    },
}


class Words:
    """The words of one version."""

    def __init__(self, version: Version) -> None:
        self.version = version

    def __call__(self, key: str, **values: Any) -> str:
        sayings = TABLE[key]
        known = [version for version in sayings if version <= self.version]
        pattern = sayings[max(known) if known else min(sayings)]
        for name, value in values.items():
            pattern = pattern.replace("{" + name + "}", re.escape(str(value)))
        return pattern
