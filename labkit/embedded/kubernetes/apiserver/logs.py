"""``pods/log``: what a container has written, and what it writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from labkit.embedded.kubernetes.apiserver.answers import Answer
from labkit.embedded.kubernetes.apiserver.calls import Call
from labkit.embedded.kubernetes.apiserver.nodes import container_name
from labkit.embedded.kubernetes.apiserver.watching import Stream
from labkit.embedded.kubernetes.errors import BadRequest, Cause, Invalid
from labkit.embedded.kubernetes.kubelet.nodeapi import LogOptions
from labkit.embedded.kubernetes.objects import spec_of
from labkit.embedded.kubernetes.times import parse

TEXT = "text/plain"


def options(call: Call, name: str) -> LogOptions:
    """``PodLogOptions`` of the query. Raises BadRequest, Invalid."""
    query = call.query
    tail, limit, seconds = query.number("tailLines"), query.number("limitBytes"), query.number("sinceSeconds")
    text = query.get("sinceTime")
    causes = []

    def wrong(field: str, value: int, least: str) -> None:
        causes.append(Cause("FieldValueInvalid", f"Invalid value: {value}: must be greater than {least}", field))

    if tail is not None and tail < 0:
        wrong("tailLines", tail, "or equal to 0")
    if limit is not None and limit < 1:
        wrong("limitBytes", limit, "0")
    if seconds is not None and text:
        words = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
        causes.append(Cause("FieldValueForbidden", words, "[]"))  # how a path of nothing is printed
    elif seconds is not None and seconds < 1:
        wrong("sinceSeconds", seconds, "0")
    stream = query.get("stream") or "All"
    if stream not in ("All", "Stdout", "Stderr"):
        words = f'Unsupported value: "{stream}": supported values: "All", "Stderr", "Stdout"'
        causes.append(Cause("FieldValueNotSupported", words, "stream"))
    elif tail is not None and stream != "All":
        words = "Forbidden: `tailLines` and specific `stream` are mutually exclusive for now"
        causes.append(Cause("FieldValueForbidden", words, "[]"))  # how a path of nothing is printed
    if causes:
        raise Invalid("PodLogOptions", "", name, causes)
    since = None if seconds is None else call.server.clock.time() - seconds
    if text:
        try:
            since = parse(text)
        except ValueError:
            raise BadRequest(
                f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse "{text}" as "2006"'
            ) from None
    return LogOptions(
        follow=query.flag("follow"),
        previous=query.flag("previous"),
        since=since,
        tail=tail,
        timestamps=query.flag("timestamps"),
        limit_bytes=limit,
        stream=stream,
    )


async def serve(call: Call) -> Any:
    """Answer ``GET pods/NAME/log``."""
    target, server = call.target, call.server
    assert target is not None
    wanted = options(call, target.name)
    pod = server.nodes.pod(target.namespace, target.name)
    container = container_name(pod, call.query.get("container"))
    if not spec_of(pod).get("nodeName"):
        return Answer(204, b"", TEXT)  # a pod that is nowhere yet has written nothing
    address = f"/containerLogs/{target.namespace}/{target.name}/{container}"
    api = await server.nodes.of(pod, f'Get "https://{spec_of(pod)["nodeName"]}:10250{address}": ')
    lines = api.logs(target.namespace, target.name, container, wanted)
    if not wanted.follow:
        return Answer(200, b"".join([line async for line in lines]), TEXT)
    stream = Stream(TEXT)
    await stream.begin(call.raw)
    await _follow(stream, lines)
    return stream


async def _follow(stream: Stream, lines: AsyncIterator[bytes]) -> None:
    try:
        async for line in lines:
            stream.send(line)
            await stream.drain()
        await stream.end()
    except TimeoutError:
        stream.abort()
    finally:
        close = getattr(lines, "aclose", None)
        if close is not None:
            await close()
