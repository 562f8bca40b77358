"""The statistics page of labkit's own balancer: the columns of HAProxy's that it knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from labkit.embedded.marathon.discovery.lb.balancer.pool import Pool

_COLUMNS = ("pxname", "svname", "scur", "stot", "status")


def _rows(pools: Mapping[str, Pool]) -> Iterator[tuple[str, str, str, str, str]]:
    for name, pool in pools.items():
        current = sum(pool.active.values())
        for server in pool.service.servers:
            status = "MAINT" if server.draining else "no check"
            yield name, server.name, str(pool.active.get(server, 0)), str(pool.total.get(server, 0)), status
        yield name, "BACKEND", str(current), str(sum(pool.total.values())), "UP" if pool.service.servers else "DOWN"


def csv(pools: Mapping[str, Pool]) -> str:
    """As ``/haproxy?stats;csv``."""
    return "# " + "".join(",".join(row) + ",\n" for row in (_COLUMNS, *_rows(pools)))


def html(pools: Mapping[str, Pool]) -> str:
    """As ``/haproxy?stats``, plainer."""
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in _rows(pools))
    head = "".join(f"<th>{column}</th>" for column in _COLUMNS)
    return (
        '<!doctype html><html lang="en"><title>Statistics Report</title><h1>labkit\'s own balancer</h1>\n'
        f"<table><tr>{head}</tr>\n{rows}</table></html>\n"
    )
