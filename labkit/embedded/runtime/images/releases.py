"""Tags of an image that has many releases, as Docker Hub's official images are tagged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


def releases(
    numbers: str,
    *,
    variants: Sequence[str] = ("",),
    also: Mapping[str, Sequence[str]] | None = None,
    pinned: Mapping[str, str] | None = None,
) -> dict[str, tuple[str, ...]]:
    """Versions and their tags, from the oldest to the newest.

    ``numbers`` are releases in order, ``1.27.0-5`` is short for 1.27.0 to 1.27.5. Each has its own tag, the newest of a
    minor release ``1.27`` too, and of a major one ``1``; the newest of all is ``latest``. ``pinned`` says which version
    has a tag instead (``{"stable": "1.28.0"}``). ``variants`` are suffixes (``-alpine``), each an image of its own with
    the same tags (``latest-alpine`` is ``alpine``); ``also`` are further suffixes that point to the same image as one
    of them (``{"": ("-bookworm",)}``).
    """
    known = list(_numbers(numbers))
    floating: dict[str, str] = {}
    for number in known:
        parts = number.split(".")
        floating |= {".".join(parts[:count]): number for count in range(1, len(parts))}
    floating |= {"latest": known[-1], **(pinned or {})}
    versions: dict[str, tuple[str, ...]] = {}
    for number in known:
        names = [number, *(tag for tag, version in floating.items() if version == number)]
        for variant in variants:
            suffixes = (variant, *(also or {}).get(variant, ()))
            versions[number + variant] = tuple(_tag(name, suffix) for suffix in suffixes for name in names)
    return versions


def _tag(name: str, suffix: str) -> str:
    return suffix.removeprefix("-") if name == "latest" and suffix else name + suffix


def _numbers(text: str) -> Iterator[str]:
    for word in text.split():
        number, _, last = word.partition("-")
        series, _, first = number.rpartition(".")
        yield from (f"{series}.{patch}" for patch in range(int(first), int(last) + 1)) if last else (number,)
