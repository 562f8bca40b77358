"""The indexes of an Indexed Job and how the API writes them: ``0,2-5,9``. Pure; ``indexed_job_utils.go``."""

from __future__ import annotations

from collections.abc import Iterable

from labkit.embedded.kubernetes.objects import Json, annotations_of

INDEX = "batch.kubernetes.io/job-completion-index"  # annotation and label of a pod
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"


def parse(text: str, completions: int) -> set[int]:
    """The indexes of a status, those beyond ``completions`` left out; what cannot be read is skipped."""
    found: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        try:
            low, high = int(first), int(last or first)
        except ValueError:
            continue
        found.update(range(low, min(high, completions - 1) + 1))
    return found


def format(indexes: Iterable[int]) -> str:
    """Indexes as the API writes them: runs of three and more as a range, two as ``1,2``."""
    parts: list[str] = []
    run: list[int] = []

    def close() -> None:
        if len(run) > 2:
            parts.append(f"{run[0]}-{run[-1]}")
        else:
            parts.extend(str(one) for one in run)

    for index in sorted(set(indexes)):
        if run and index != run[-1] + 1:
            close()
            run = []
        run.append(index)
    close()
    return ",".join(parts)


def index_of(pod: Json) -> int:
    """The index that a pod works on; -1 when it has none."""
    text = annotations_of(pod).get(INDEX, "")
    return int(text) if text.isascii() and text.isdigit() else -1


def first_pending(number: int, completions: int, taken: set[int]) -> list[int]:
    """The lowest indexes that nobody works on or has done, at most ``number``."""
    found: list[int] = []
    for index in range(completions):
        if len(found) >= number:
            break
        if index not in taken:
            found.append(index)
    return found


def doubled(active: Iterable[Json], completions: int, done: set[int]) -> tuple[list[Json], list[Json]]:
    """Active pods that are to go (their index is done, taken, or beyond the end), and those that are right."""
    wrong: list[Json] = []
    right: list[Json] = []
    seen: set[int] = set()
    for pod in active:
        index = index_of(pod)
        if index < 0 or index >= completions or index in done or index in seen:
            wrong.append(pod)
        else:
            seen.add(index)
            right.append(pod)
    return wrong, right


def with_index(spec: Json, job: str, index: int) -> Json:
    """The pod's spec for that index: its host name."""
    return {**spec, "hostname": f"{job}-{index}"}


def with_variable(spec: Json) -> Json:
    """The pod's spec with ``JOB_COMPLETION_INDEX`` in every container that does not set it itself."""
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    variable = {"name": INDEX_VARIABLE, "valueFrom": source}

    def extended(container: Json) -> Json:
        env = container.get("env") or []
        if any(one["name"] == INDEX_VARIABLE for one in env):
            return container
        return {**container, "env": [*env, variable]}

    result = dict(spec)
    for part in ("initContainers", "containers"):
        if spec.get(part):
            result[part] = [extended(container) for container in spec[part]]
    return result
