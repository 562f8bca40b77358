"""Redis's commands, each a function of the database and its arguments, in one table."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable

from labkit.embedded.runtime.images.redisdata import DATABASES, Database, RedisError, Value

_NOT_INTEGER = "ERR value is not an integer or out of range"


def run(db: Database, session: dict[str, int], name: str, args: list[bytes]) -> Value:
    """Run one command for a client; :class:`RedisError` in Redis's words."""
    entry = COMMANDS.get(name)
    if entry is None:
        shown = " ".join(f"'{arg.decode('utf-8', 'replace')}'" for arg in args[:20])
        raise RedisError(f"ERR unknown command '{name.lower()}', with args beginning with: {shown}")
    fn, least, most = entry
    if len(args) < least or (most >= 0 and len(args) > most):
        raise RedisError(f"ERR wrong number of arguments for '{name.lower()}' command")
    password = db.options.get("requirepass", "")
    if password and not session["auth"] and name not in ("AUTH", "HELLO", "QUIT"):
        raise RedisError("NOAUTH Authentication required.")
    db.db = session["db"]
    db.commands += 1
    if name == "SELECT":
        number = _integer(args[0])
        if not 0 <= number < DATABASES:
            raise RedisError("ERR DB index is out of range")
        session["db"] = number
        return "OK"
    if name == "AUTH":
        if not password:
            raise RedisError(
                "ERR AUTH <password> called without any password configured for the default user. "
                "Are you sure your configuration is correct?"
            )
        if args[-1].decode("utf-8", "replace") != password:
            raise RedisError("WRONGPASS invalid username-password pair or user is disabled.")
        session["auth"] = 1
        return "OK"
    return fn(db, args)


def _integer(text: bytes) -> int:
    try:
        return int(text)
    except ValueError:
        raise RedisError(_NOT_INTEGER) from None


def _set(db: Database, args: list[bytes]) -> Value:
    key, value, *rest = args
    seconds: float | None = None
    before = db.get(key)
    words = [word.upper() for word in rest]
    index = 0
    keep = False
    while index < len(words):
        word = words[index]
        if word in (b"EX", b"PX") and index + 1 < len(words):
            seconds = _integer(rest[index + 1]) / (1 if word == b"EX" else 1000)
            if seconds <= 0:
                raise RedisError("ERR invalid expire time in 'set' command")
            index += 1
        elif (word == b"NX" and before is not None) or (word == b"XX" and before is None):
            return None
        elif word == b"KEEPTTL":
            keep = True
        elif word not in (b"NX", b"XX", b"GET"):
            raise RedisError("ERR syntax error")
        index += 1
    if keep and (left := db.left(key)) > 0:
        seconds = left
    db.put(key, value, None if seconds is None else db.now() + seconds)
    if b"GET" in words:
        return before if isinstance(before, bytes) else None
    return "OK"


def _add(db: Database, key: bytes, amount: int) -> Value:
    value = _integer(db.text(key) or b"0") + amount
    if not -(1 << 63) <= value < 1 << 63:
        raise RedisError("ERR increment or decrement would overflow")
    left = db.left(key)
    db.put(key, b"%d" % value, db.now() + left if left > 0 else None)
    return value


def _append(db: Database, args: list[bytes]) -> Value:
    value = (db.text(args[0]) or b"") + args[1]
    db.put(args[0], value)
    return len(value)


def _push(db: Database, args: list[bytes], left: bool) -> Value:
    items = db.items(args[0], make=True)
    for value in args[1:]:
        items.insert(0 if left else len(items), value)
        db.grow(len(value) + 16)
    return len(items)


def _pop(db: Database, args: list[bytes], left: bool) -> Value:
    items = db.items(args[0])
    count = _integer(args[1]) if len(args) > 1 else 1
    popped: list[Value] = []
    while items and len(popped) < count:
        value = items.pop(0 if left else -1)
        db.grow(-len(value) - 16)
        popped.append(value)
    if not items:
        db.drop(args[0])
    if len(args) > 1:
        return popped or None
    return popped[0] if popped else None


def _range(db: Database, args: list[bytes]) -> Value:
    items, start, stop = db.items(args[0]), _integer(args[1]), _integer(args[2])
    start = max(0, start + len(items)) if start < 0 else start
    stop = stop + len(items) if stop < 0 else stop
    return [*items[start : stop + 1]]


def _hset(db: Database, args: list[bytes]) -> Value:
    if len(args) % 2 == 0:
        raise RedisError("ERR wrong number of arguments for 'hset' command")
    table = db.hash(args[0], make=True)
    added = sum(field not in table for field in args[1::2])
    for field, value in zip(args[1::2], args[2::2], strict=True):
        db.grow(len(value) - len(table.get(field, b"")) + (0 if field in table else len(field) + 32))
        table[field] = value
    return added


def _hdel(db: Database, args: list[bytes]) -> Value:
    table = db.hash(args[0])
    gone = sum(table.pop(field, None) is not None for field in args[1:])
    if not table:
        db.drop(args[0])
    return gone


def _sadd(db: Database, args: list[bytes]) -> Value:
    members = db.members(args[0], make=True)
    added = len(set(args[1:]) - members)
    members.update(args[1:])
    db.grow(16 * added)
    return added


def _srem(db: Database, args: list[bytes]) -> Value:
    members = db.members(args[0])
    gone = len(members & set(args[1:]))
    members.difference_update(args[1:])
    if not members:
        db.drop(args[0])
    return gone


def _keys(db: Database, args: list[bytes]) -> Value:
    pattern = args[0].decode("utf-8", "replace")
    return [key for key in db.alive() if fnmatch.fnmatchcase(key.decode("utf-8", "replace"), pattern)]


def _scan(db: Database, args: list[bytes]) -> Value:
    pattern = b"*"
    for word, value in zip(args[1::2], args[2::2], strict=False):
        pattern = value if word.upper() == b"MATCH" else pattern
    return [b"0", _keys(db, [pattern])]


def _type(db: Database, args: list[bytes]) -> Value:
    names = {bytes: "string", list: "list", dict: "hash", set: "set", type(None): "none"}
    return names[type(db.get(args[0]))]


def _config(db: Database, args: list[bytes]) -> Value:
    if args[0].upper() == b"GET" and len(args) > 1:
        settings = {"port": str(db.port), "save": "3600 1 300 100 60 10000", "maxmemory": "0", "dir": "/data"}
        settings |= {"appendonly": "no", "databases": str(DATABASES), **db.options}
        found: list[Value] = []
        for name, value in settings.items():
            if any(fnmatch.fnmatchcase(name, p.decode("utf-8", "replace").lower()) for p in args[1:]):
                found += [name.encode(), value.encode()]
        return found
    if args[0].upper() == b"SET" and len(args) == 3:
        db.options[args[1].decode("utf-8", "replace").lower()] = args[2].decode("utf-8", "replace")
        return "OK"
    return "OK"


def _rename(db: Database, args: list[bytes]) -> Value:
    value = db.get(args[0])
    if value is None:
        raise RedisError("ERR no such key")
    left = db.left(args[0])
    db.drop(args[0])
    db.put(args[1], value, db.now() + left if left > 0 else None)
    return "OK"


def _hgetall(db: Database, args: list[bytes]) -> Value:
    return [part for pair in db.hash(args[0]).items() for part in pair]


def _texts(db: Database, args: list[bytes]) -> Value:
    values = (db.get(key) for key in args)
    return [value if isinstance(value, bytes) else None for value in values]


def _mset(db: Database, args: list[bytes]) -> Value:
    if len(args) % 2:
        raise RedisError("ERR wrong number of arguments for 'mset' command")
    for key, value in zip(args[::2], args[1::2], strict=True):
        db.put(key, value)
    return "OK"


def _index(db: Database, args: list[bytes]) -> Value:
    items, index = db.items(args[0]), _integer(args[1])
    return items[index] if -len(items) <= index < len(items) else None


def _setnx(db: Database, args: list[bytes]) -> Value:
    if db.get(args[0]) is not None:
        return 0
    db.put(args[0], args[1])
    return 1


def _getset(db: Database, args: list[bytes]) -> Value:
    before = db.text(args[0])
    db.put(args[0], args[1])
    return before


def _getdel(db: Database, args: list[bytes]) -> Value:
    before = db.text(args[0])
    db.drop(args[0])
    return before


Function = Callable[[Database, "list[bytes]"], Value]

# name -> function, fewest and most arguments (-1: any number)
COMMANDS: dict[str, tuple[Function, int, int]] = {
    "APPEND": (_append, 2, 2),
    "AUTH": (lambda db, a: "OK", 1, 2),
    "BGSAVE": (lambda db, a: "Background saving started", 0, 1),
    "CLIENT": (lambda db, a: "OK", 1, -1),
    "COMMAND": (lambda db, a: len(COMMANDS) if a[:1] == [b"COUNT"] else [], 0, -1),
    "CONFIG": (_config, 1, -1),
    "DBSIZE": (lambda db, a: len(db.alive()), 0, 0),
    "DECR": (lambda db, a: _add(db, a[0], -1), 1, 1),
    "DECRBY": (lambda db, a: _add(db, a[0], -_integer(a[1])), 2, 2),
    "DEL": (lambda db, a: sum(db.drop(key) for key in a), 1, -1),
    "ECHO": (lambda db, a: a[0], 1, 1),
    "EXISTS": (lambda db, a: sum(db.get(key) is not None for key in a), 1, -1),
    "EXPIRE": (lambda db, a: db.expire(a[0], _integer(a[1])), 2, 3),
    "FLUSHALL": (lambda db, a: db.flush(True), 0, 1),
    "FLUSHDB": (lambda db, a: db.flush(False), 0, 1),
    "GET": (lambda db, a: db.text(a[0]), 1, 1),
    "GETDEL": (_getdel, 1, 1),
    "GETSET": (_getset, 2, 2),
    "HDEL": (_hdel, 2, -1),
    "HEXISTS": (lambda db, a: int(a[1] in db.hash(a[0])), 2, 2),
    "HGET": (lambda db, a: db.hash(a[0]).get(a[1]), 2, 2),
    "HGETALL": (_hgetall, 1, 1),
    "HKEYS": (lambda db, a: [*db.hash(a[0])], 1, 1),
    "HLEN": (lambda db, a: len(db.hash(a[0])), 1, 1),
    "HSET": (_hset, 3, -1),
    "HVALS": (lambda db, a: [*db.hash(a[0]).values()], 1, 1),
    "INCR": (lambda db, a: _add(db, a[0], 1), 1, 1),
    "INCRBY": (lambda db, a: _add(db, a[0], _integer(a[1])), 2, 2),
    "INFO": (lambda db, a: db.info(), 0, -1),
    "KEYS": (_keys, 1, 1),
    "LINDEX": (_index, 2, 2),
    "LLEN": (lambda db, a: len(db.items(a[0])), 1, 1),
    "LPOP": (lambda db, a: _pop(db, a, True), 1, 2),
    "LPUSH": (lambda db, a: _push(db, a, True), 2, -1),
    "LRANGE": (_range, 3, 3),
    "MGET": (_texts, 1, -1),
    "MSET": (_mset, 2, -1),
    "PERSIST": (lambda db, a: db.persist(a[0]), 1, 1),
    "PEXPIRE": (lambda db, a: db.expire(a[0], _integer(a[1]) / 1000), 2, 3),
    "PING": (lambda db, a: a[0] if a else "PONG", 0, 1),
    "PTTL": (lambda db, a: int(left * 1000) if (left := db.left(a[0])) > 0 else int(left), 1, 1),
    "QUIT": (lambda db, a: "OK", 0, -1),
    "RENAME": (_rename, 2, 2),
    "RPOP": (lambda db, a: _pop(db, a, False), 1, 2),
    "RPUSH": (lambda db, a: _push(db, a, False), 2, -1),
    "SADD": (_sadd, 2, -1),
    "SAVE": (lambda db, a: "OK", 0, 0),
    "SCAN": (_scan, 1, -1),
    "SCARD": (lambda db, a: len(db.members(a[0])), 1, 1),
    "SELECT": (lambda db, a: "OK", 1, 1),
    "SET": (_set, 2, -1),
    "SETEX": (lambda db, a: _set(db, [a[0], a[2], b"EX", a[1]]), 3, 3),
    "SETNX": (_setnx, 2, 2),
    "SHUTDOWN": (lambda db, a: "OK", 0, -1),
    "SISMEMBER": (lambda db, a: int(a[1] in db.members(a[0])), 2, 2),
    "SMEMBERS": (lambda db, a: [*sorted(db.members(a[0]))], 1, 1),
    "SREM": (_srem, 2, -1),
    "STRLEN": (lambda db, a: len(db.text(a[0]) or b""), 1, 1),
    "TIME": (lambda db, a: [b"%d" % db.now(), b"%d" % (db.now() % 1 * 1e6)], 0, 0),
    "TTL": (lambda db, a: round(db.left(a[0])), 1, 1),
    "TYPE": (_type, 1, 1),
    "UNLINK": (lambda db, a: sum(db.drop(key) for key in a), 1, -1),
}
