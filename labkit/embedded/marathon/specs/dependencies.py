"""Which app waits for which others (``RootGroup.applicationDependencies``)."""

from __future__ import annotations

from collections.abc import Iterator

from labkit.embedded.marathon.specs.groups import Group


def edges(root: Group) -> dict[str, set[str]]:
    """Of every app the apps that have to be there first.

    A group's dependency holds for all apps in it and below, and one on a group means all apps in that one.
    """
    found: dict[str, set[str]] = {key: set() for key in root.all_apps}
    for group in root.all_groups():
        for dependency in group.dependencies:
            needed = root.group(dependency)
            if needed is not None:
                for key in group.all_apps:
                    found[key].update(needed.all_apps)
        for app in group.apps.values():
            for dependency in app.dependencies:
                if dependency in root.all_apps:
                    found[app.id].add(dependency)
                elif (needed := root.group(dependency)) is not None:
                    found[app.id].update(needed.all_apps)
    return found


def has_cycle(root: Group) -> bool:
    """Whether some app waits for itself, however indirectly."""
    graph = edges(root)
    done: set[str] = set()
    under_way: set[str] = set()
    for start in graph:
        if start in done:
            continue
        # By hand, as chains may be longer than Python's stack.
        stack: list[tuple[str, Iterator[str]]] = [(start, iter(graph[start]))]
        under_way.add(start)
        while stack:
            here, rest = stack[-1]
            for needed in rest:
                if needed in under_way:
                    return True
                if needed not in done:
                    under_way.add(needed)
                    stack.append((needed, iter(graph[needed])))
                    break
            else:
                under_way.discard(here)
                done.add(here)
                stack.pop()
    return False


def layers(root: Group, affected: set[str]) -> list[list[str]]:
    """The affected apps, first those without dependencies, then those with chains of one, and so on.

    Chains are counted through all apps, affected or not. There must be no cycle.
    """
    graph = edges(root)
    length: dict[str, int] = {}
    for start in graph:
        stack = [start]
        while stack:
            here = stack[-1]
            missing = [needed for needed in graph[here] if needed not in length]
            if missing:
                stack.extend(missing)
            else:
                length[here] = 1 + max((length[needed] for needed in graph[here]), default=0)
                stack.pop()
    found: dict[int, list[str]] = {}
    for app in root.all_apps:
        if app in affected:
            found.setdefault(length[app], []).append(app)
    return [found[depth] for depth in sorted(found)]
