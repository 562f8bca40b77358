"""Sliders for how a Deployment may change its mind, and a button that changes it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import ipywidgets

from .intents import explain

IMAGES = ("traefik/whoami:v1.10", "traefik/whoami:v1.10.1")
_WIDE = {"description_width": "9em"}


class Rollout(ipywidgets.VBox):
    """``maxSurge``, ``maxUnavailable`` and the image of one Deployment of ``default``.

    A slider that is moved is written into the Deployment at once; **Roll out** writes the image. What was written,
    or why the API server refused it, is told below.
    """

    def __init__(self, sandbox: Any, workload: str, images: Sequence[str] = IMAGES, most: int = 4) -> None:
        """Reads the Deployment as it is. Raises ``kubernetes.client.ApiException`` when it is not there.

        :param images: to choose from
        :param most: where the sliders end
        """
        self._sandbox = sandbox
        self._workload = workload
        surge, unavailable = limits(sandbox, workload)
        slider = {"min": 0, "max": most, "continuous_update": False, "style": _WIDE, "layout": {"width": "28em"}}
        self.surge = ipywidgets.IntSlider(min(surge, most), description="maxSurge", **slider)
        self.unavailable = ipywidgets.IntSlider(min(unavailable, most), description="maxUnavailable", **slider)
        self.image = ipywidgets.Combobox(
            value=images[-1], options=list(images), description="image", style=_WIDE, layout={"width": "28em"}
        )
        self.go = ipywidgets.Button(description="Roll out", button_style="primary", icon="play")
        self.told = ipywidgets.HTML()
        for one in (self.surge, self.unavailable):
            one.observe(self._moved, "value")
        self.go.on_click(self._roll_out)
        super().__init__([self.surge, self.unavailable, ipywidgets.HBox([self.image, self.go]), self.told])

    def _moved(self, _: Any) -> None:
        surge, unavailable = self.surge.value, self.unavailable.value
        self._do(
            lambda: self._sandbox.actions.limit_rollout(self._workload, surge, unavailable),
            f"rollingUpdate: {{maxSurge: {surge}, maxUnavailable: {unavailable}}}",
        )

    def _roll_out(self, _: Any) -> None:
        image = self.image.value.strip()
        self._do(lambda: self._sandbox.actions.update(self._workload, image), f"image: {image}")

    def _do(self, act: Callable[[], Any], words: str) -> None:
        try:
            act()
        except Exception as error:
            # The edge: what a slider caused must be read by the one who moved it.
            self.told.value = (
                f'<span style="color:var(--jp-error-color1,#c62828)">refused: {escape(explain(error))}</span>'
            )
        else:
            self.told.value = f"written into <b>{escape(self._workload)}</b>: <code>{escape(words)}</code>"


def limits(sandbox: Any, workload: str) -> tuple[int, int]:
    """maxSurge and maxUnavailable of a Deployment in pods: shares are rounded as its controller does, up and down."""
    from kubernetes import client

    spec = client.AppsV1Api(sandbox.client).read_namespaced_deployment(workload, "default").spec
    rolling = spec.strategy.rolling_update if spec.strategy else None
    if rolling is None:  # type Recreate
        return 0, 0
    replicas = 1 if spec.replicas is None else spec.replicas
    return (
        in_pods(rolling.max_surge, replicas, math.ceil),
        in_pods(rolling.max_unavailable, replicas, math.floor),
    )


def in_pods(limit: Any, replicas: int, rounded: Callable[[float], int]) -> int:
    """``2`` or ``"25%"`` of so many replicas."""
    text = str(limit)
    return rounded(replicas * int(text[:-1]) / 100) if text.endswith("%") else int(text)
