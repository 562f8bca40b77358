"""``--restart`` policies: a pure decision after each exit (moby's ``restartmanager``)."""

from __future__ import annotations

from dataclasses import dataclass

from labkit.embedded.swarm.errors import BadRequest
from labkit.embedded.swarm.objects import Json

FIRST_DELAY = 0.1  # doubles with every quick failure
LONGEST_DELAY = 60.0
LONG_RUN = 10.0  # a container that ran this long starts over at the first delay

POLICIES = ("no", "always", "on-failure", "unless-stopped")


@dataclass(slots=True)
class Backoff:
    """How long the next restart waits. Restarts that the policy counts are counted apart from ``RestartCount``."""

    delay: float = 0.0
    count: int = 0

    def decide(self, policy: Json, exit_code: int, stopped_by_hand: bool, ran: float) -> float | None:
        """Seconds to wait before starting again, or None to leave it stopped."""
        if ran >= LONG_RUN:
            self.delay = 0.0
        self.delay = min(self.delay * 2 or FIRST_DELAY, LONGEST_DELAY)
        name, limit = policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0
        again = not stopped_by_hand and (
            name in ("always", "unless-stopped")
            or (name == "on-failure" and exit_code != 0 and (limit == 0 or self.count < limit))
        )
        if not again:
            return None
        self.count += 1
        return self.delay


def check_policy(policy: Json) -> None:
    """Raise :class:`BadRequest` in the words of ``ValidateRestartPolicy``."""
    name, limit = policy.get("Name") or "", policy.get("MaximumRetryCount") or 0
    if name and name not in POLICIES:
        raise BadRequest(
            f"invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', "
            "or 'unless-stopped'"
        )
    if name == "on-failure" and limit < 0:
        raise BadRequest("invalid restart policy: maximum retry count cannot be negative")
    if name and name != "on-failure" and limit:
        words = "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        raise BadRequest(words + (" and cannot be negative" if limit < 0 else ""))
