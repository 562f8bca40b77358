"""The joining node's side of ``docker swarm join``: find the manager, check its CA, get an id and a role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labkit.embedded.runtime.machines import Unreachable
from labkit.embedded.swarm.errors import ApiError, BadRequest, NoLeader, RpcError
from labkit.embedded.swarm.node import addresses, ca, words
from labkit.embedded.swarm.node.tokens import JoinToken, parse_join_token
from labkit.embedded.swarm.objects import Json

if TYPE_CHECKING:
    from labkit.embedded.swarm.node.swarmnode import SwarmNode

ATTEMPTS = 5  # to get the root CA
RETRY = 2.0  # seconds between them


@dataclass(frozen=True, slots=True)
class Issued:
    """What the managers give to a node with a valid token."""

    node_id: str
    role: str
    swarm_id: str
    managers: dict[str, tuple[str, str]]  # node id -> address, machine


def checked(req: Json) -> Json:
    """The request with addresses completed. Raises BadRequest."""
    listen = addresses.with_port("ListenAddr", req.get("ListenAddr", ""))
    remotes = req.get("RemoteAddrs") or []
    if not remotes:
        raise BadRequest("at least 1 RemoteAddr is required to join")
    return {
        **req,
        "ListenAddr": listen,
        "RemoteAddrs": [addresses.with_port("remoteAddr", remote) for remote in remotes],
    }


async def get_certificate(node: SwarmNode, req: Json) -> Issued:
    """Ask the first remote address until it answers.

    A refused connection and a wrong CA are final after five attempts, as in SwarmKit; a machine that does not answer
    at all is asked for as long as it takes. Raises ApiError.
    """
    token_text = req.get("JoinToken", "")
    # An empty token skips the check of the CA, and is then not valid either.
    token = parse_join_token(token_text) if token_text else None
    attempt = 0
    while True:
        try:
            remote = await _check_root(node, req["RemoteAddrs"][0], token)
            return await _issue(node, remote, token_text, req.get("Availability", "").lower())
        except Unreachable:
            pass
        except (words.ConnectionRefused, words.WrongCA):
            attempt += 1
            if attempt >= ATTEMPTS:
                raise
        except NoLeader as error:
            if type(error) is NoLeader:
                raise
        await node.world.clock.sleep(RETRY)


async def _check_root(node: SwarmNode, address: str, token: JoinToken | None) -> SwarmNode:
    host, port = addresses.split(address)
    registry = node.registry
    machine = registry.at(host)
    if machine is None:
        raise Unreachable(f"no machine has the address {host}")
    remote: SwarmNode | None = await node.world.fleet.call(node.machine, machine, registry.manager_at, machine, port)
    if remote is None or remote.manager is None:
        raise words.ConnectionRefused(address)
    cluster = remote.manager.store.cluster()
    if token is not None and cluster is not None and ca.digest(cluster.root_ca) != token.digest:
        raise words.WrongCA(token.digest)
    return remote


async def _issue(node: SwarmNode, remote: SwarmNode, token: str, availability: str) -> Issued:
    async def ask() -> Issued:
        store = await remote.leader_store()  # a manager that does not lead passes the question on
        leading = remote.peers.manager_of(store)
        node_id, role = await leading.issue(token, availability)
        return Issued(node_id, role, remote.swarm_id, leading.members_by_node())

    try:
        issued: Issued = await node.world.fleet.call(node.machine, remote.machine, ask, timeout=None)
    except RpcError:
        raise
    except ApiError as error:  # it is no manager any more
        raise Unreachable(str(error)) from error
    return issued
