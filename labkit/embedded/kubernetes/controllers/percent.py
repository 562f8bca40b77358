"""Numbers that may be percentages: ``maxSurge: 25%``."""

from __future__ import annotations

IntOrPercent = int | str


def resolve(value: IntOrPercent, total: int, *, up: bool) -> int:
    """A number as it is, or so many percent of ``total``, rounded up or down. Raises ValueError for anything else.

    ``GetScaledValueFromIntOrPercent`` in ``k8s.io/apimachinery/pkg/util/intstr``.
    """
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        raise ValueError(f'invalid value for IntOrString: "{value}" is neither a number nor a percentage')
    part = int(value[:-1]) * total
    return -(-part // 100) if up else part // 100
