"""`./lab bench`: what the engines cost, measured in one run beside the real ones, as a table.

Nothing here asserts: a number on a busy machine proves little, a ratio within one run a good deal. Every measurement
runs several times and shows its median; `--quick` runs each once.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import graph, kubernetes, marathon, swarm
from bench.table import Table
from support import present


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each measurement once")
    parser.add_argument("--embedded-only", action="store_true", help="leave the real engines out")
    parser.add_argument("--only", choices=("swarm", "kubernetes", "marathon", "graph"), default="", help="a part of it")
    options = parser.parse_args()
    rounds = 1 if options.quick else 5
    real = None
    if options.embedded_only:
        real_note = "left out"
    else:
        real_note = present.missing("docker") or ""
        real = "docker" if not real_note else None
    if real:
        os.environ.setdefault("LABKIT_SWARM_NODE_IMAGE", present.node_image())
    real_kind = real if real and not present.missing("kind") else None
    if real_kind and (image := present.kind_image()):
        os.environ.setdefault("LABKIT_KIND_NODE_IMAGE", image)
    table = Table(real_note)
    with tempfile.TemporaryDirectory(prefix="lkb-", dir="/tmp") as folder:
        os.environ["LABKIT_STATE_DIR"], os.environ["LABKIT_RUNTIME_DIR"] = f"{folder}/s", f"{folder}/r"
        if options.only in ("", "swarm"):
            swarm.measure(table, rounds, real)
        if options.only in ("", "kubernetes"):
            kubernetes.measure(table, rounds, real_kind)
        if options.only in ("", "marathon"):
            marathon.measure(table, rounds)
    if options.only in ("", "graph"):
        for name, value, unit, goal in graph.measure():
            table.add(name, value, unit, goal=goal)
    table.print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
