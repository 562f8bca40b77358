"""The service accounts controller: every namespace has a ServiceAccount ``default``."""

from __future__ import annotations

from typing import ClassVar

from labkit.embedded.kubernetes import kinds
from labkit.embedded.kubernetes.controllers.controller import Controller
from labkit.embedded.kubernetes.errors import AlreadyExists, Forbidden, NotFound
from labkit.embedded.kubernetes.objects import Json, is_terminating, name_of, namespace_of

DEFAULT = "default"


class ServiceAccountsController(Controller):
    name: ClassVar[str] = "serviceaccount-controller"
    source: ClassVar[str] = "service-account-controller"

    def setup(self) -> None:
        self.namespaces = self.watch(kinds.NAMESPACES, self._namespace, lambda _, new: self._namespace(new))
        self.accounts = self.watch(kinds.SERVICE_ACCOUNTS, deleted=self._gone)

    def _namespace(self, namespace: Json) -> None:
        self.queue.add(name_of(namespace))

    def _gone(self, account: Json) -> None:
        if name_of(account) == DEFAULT:
            self.queue.add(namespace_of(account))

    async def sync(self, key: str) -> None:
        namespace = self.namespaces.get("", key)
        if namespace is None or is_terminating(namespace) or self.accounts.get(key, DEFAULT) is not None:
            return
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": DEFAULT, "namespace": key}}
        try:
            await self.client.create(kinds.SERVICE_ACCOUNTS, key, account)
        except (AlreadyExists, Forbidden, NotFound):  # of before, or its namespace is on its way out
            pass
