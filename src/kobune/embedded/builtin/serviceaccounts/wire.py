"""Wires the controller of default service accounts and root certificates."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kobune.api.core import ConfigMap, Namespace, ServiceAccount
from kobune.embedded.builtin.serviceaccounts.decide import ACCOUNT, AUTHORITY, Observed, decide
from kobune.kube.client.core import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from kobune.kube.client.objects import key_of
from kobune.kube.client.resource import Key
from kobune.kube.informer import Informer
from kobune.kube.runtime import ControllerProcess, Watch

__all__ = ["add_to"]


@dataclass(frozen=True, slots=True)
class Observe:
    """Observation of one namespace, from caches alone."""

    namespaces: Informer[Namespace]
    accounts: Informer[ServiceAccount]
    authorities: Informer[ConfigMap]
    ca_pem: str

    async def __call__(self, key: Key) -> Observed | None:
        """None once the namespace is gone."""
        namespace = self.namespaces.get(key)
        if namespace is None:
            return None
        has_account = self.accounts.get(Key(key.name, ACCOUNT)) is not None
        return Observed(namespace, has_account, self.authorities.get(Key(key.name, AUTHORITY)), self.ca_pem)


def add_to(process: ControllerProcess, ca_pem: str) -> None:
    """Add the controller to a process."""
    namespaces = process.informers.of(NAMESPACES)
    accounts = process.informers.of(SERVICE_ACCOUNTS, field_selector=f"metadata.name={ACCOUNT}")
    authorities = process.informers.of(CONFIG_MAPS, field_selector=f"metadata.name={AUTHORITY}")
    process.add(
        "serviceaccounts",
        primary=namespaces,
        observe=Observe(namespaces, accounts, authorities, ca_pem),
        decide=decide,
        execute=process.writer.execute,
        watches=[Watch(accounts, _namespace_key), Watch(authorities, _namespace_key)],
    )


def _namespace_key(obj: Any) -> Iterable[Key]:
    return (Key("", key_of(obj).namespace),)
