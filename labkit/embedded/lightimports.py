"""An import that costs less: of aiohttp what an engine's process needs, and the rest when somebody asks for it.

``import aiohttp`` loads its client as well, with everything that a client needs, and reads all root certificates of
this computer: a quarter of a second for what no engine uses. Here the package is put in place without running its
``__init__``; that happens when it is asked for a name that is no module of it (``aiohttp.ClientSession``).
"""

from __future__ import annotations

import importlib.util
import re
import ssl
import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any


class _Light(types.ModuleType):
    """A package whose own code has not been run yet."""

    __version__: str

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        assert spec.origin is not None
        self.__spec__ = spec
        self.__file__ = spec.origin
        self.__loader__ = spec.loader
        self.__path__ = list(spec.submodule_search_locations or ())
        self.__package__ = spec.name
        # Its modules ask for this one.
        head = Path(spec.origin).read_text(encoding="utf-8")[:2000]
        version = re.search(r'^__version__ = "([^"]+)"', head, re.MULTILINE)
        self.__version__ = version[1] if version else "3"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or importlib.util.find_spec(f"{self.__name__}.{name}") is not None:
            raise AttributeError(name)  # `from package import name` goes on to import it
        self.__class__ = types.ModuleType  # type: ignore[assignment]  # from now on it is like any other
        assert self.__spec__ is not None
        assert self.__spec__.loader is not None
        create = ssl.create_default_context
        ssl.create_default_context = lambda *_, **__: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            self.__spec__.loader.exec_module(self)
        finally:
            ssl.create_default_context = create
        return getattr(self, name)


def import_aiohttp() -> None:
    """Import aiohttp's server."""
    spec = importlib.util.find_spec("aiohttp")
    if "aiohttp" not in sys.modules and spec is not None and spec.loader is not None and spec.origin is not None:
        sys.modules["aiohttp"] = _Light(spec)
    import aiohttp.web  # noqa: F401
