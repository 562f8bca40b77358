"""Who may do what to a node. The schemes world, auth, digest and ip; rules of ``PrepRequestProcessor`` and
``ZooKeeperServer.checkACL``."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from typing import NamedTuple

from labkit.embedded.zookeeper.errors import InvalidAcl, NoAuth
from labkit.embedded.zookeeper.ops import ALL, OPEN_ACL, WORLD, Acl, Id

READ, WRITE, CREATE, DELETE, ADMIN = 1, 2, 4, 8, 16


def digest(user_and_password: str) -> str:
    """``user:base64(sha1(user:password))``, the name under which a password is known."""
    user = user_and_password.split(":", 1)[0]
    return f"{user}:{base64.b64encode(hashlib.sha1(user_and_password.encode()).digest()).decode()}"


class Owner(NamedTuple):
    """Who the clients of this process are, and how they make nodes: for all to read, or for nobody else."""

    auth: tuple[Id, ...] = ()
    shared: tuple[Acl, ...] = OPEN_ACL
    private: tuple[Acl, ...] = OPEN_ACL


def owner(secret: str) -> Owner:
    """Of ``user:password``, as clients are whose ``zk://`` URL has one; of none, anybody may do anything.

    Mesos makes its nodes for all to read (``EVERYONE_READ_CREATOR_ALL`` of ``zookeeper/zookeeper.cpp``), Marathon for
    itself alone (``CREATOR_ALL_ACL``): there are its apps, and who could write there could have commands run.
    """
    if not secret:
        return Owner()
    who = Id("digest", digest(secret))
    alone = (Acl(ALL, who),)
    return Owner((who,), (*alone, Acl(READ, WORLD)), alone)


def check(acl: tuple[Acl, ...], perm: int, auth: tuple[Id, ...], path: str) -> None:
    """Raise ``NoAuth`` when no rule lets this client in."""
    for rule in acl:
        if rule.perms & perm and (rule.id == ("world", "anyone") or any(_matches(rule.id, who) for who in auth)):
            return
    if not acl:  # as the real one has it: no list, no restriction
        return
    raise NoAuth(path)


def _matches(rule: Id, who: Id) -> bool:
    if rule.scheme != who.scheme:
        return False
    if rule.scheme == "ip":
        return ipaddress.ip_address(who.id) in ipaddress.ip_network(rule.id, strict=False)
    return rule.id == who.id


def fixed(acl: tuple[Acl, ...], auth: tuple[Id, ...], path: str) -> tuple[Acl, ...]:
    """The list as it is stored: ``auth`` becomes whom the client has shown itself to be. Raises ``InvalidAcl``."""
    if len(acl) == 1 and acl[0].id == ("world", "anyone"):
        return acl
    if not acl:
        raise InvalidAcl(path)
    found: list[Acl] = []
    for rule in dict.fromkeys(acl):
        scheme, name = rule.id
        if scheme == "world" and name == "anyone":
            found.append(rule)
        elif scheme == "auth":
            mine = [rule._replace(id=who) for who in auth if who.scheme != "ip"]
            if not mine:
                raise InvalidAcl(path)
            found += mine
        elif (scheme == "digest" and name.count(":") == 1) or (scheme == "ip" and _is_network(name)):
            found.append(rule)
        else:
            raise InvalidAcl(path)
    return tuple(found)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
