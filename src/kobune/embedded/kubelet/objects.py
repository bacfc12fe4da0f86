"""The objects that a pod names: ConfigMaps, Secrets, tokens, Services, read from the API when they are needed."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from kobune.api.core import Pod, Secret, Service
from kobune.embedded.kubelet.environment import Dependencies
from kobune.embedded.kubelet.model import all_containers
from kobune.embedded.kubelet.volumes.content import TokenKey, Tokens, token_requests
from kobune.kube.client.core import CONFIG_MAPS, SECRETS
from kobune.kube.client.errors import NotFound
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource
from kobune.kube.informer import Informer

__all__ = ["NodeFacts", "PodObjects"]

REFRESH_SHARE = 0.8
"""A token is replaced when this share of its life is over."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What the node knows of itself."""

    node_name: str
    host_ip: str
    memory_bytes: int
    allocatable: Mapping[str, str | int | float]


class PodObjects:
    """Reads what pods name. Tokens are kept until most of their life is over, other objects are read each time."""

    def __init__(self, client: Client, services: Informer[Service] | None, facts: NodeFacts) -> None:
        self._client = client
        self._services = services
        self._facts = facts
        self._tokens: dict[tuple[str, TokenKey], tuple[str, float]] = {}

    async def dependencies(self, pod: Pod, pod_ips: tuple[str, ...] = ()) -> Dependencies:
        """The pod's ConfigMaps and Secrets as far as they exist; raises ApiError when the API does not answer."""
        namespace = pod.metadata.namespace
        found_maps = await self._find_all(CONFIG_MAPS, config_map_names(pod), namespace)
        found_secrets = await self._find_all(SECRETS, secret_names(pod), namespace)
        services: list[Service] = []
        if self._services is not None and pod.spec.enable_service_links is not False:
            services = self._services.list(namespace)
            if namespace != "default":
                services += [s for s in self._services.list("default") if s.metadata.name == "kubernetes"]
        return Dependencies(
            config_maps=found_maps,
            secrets=found_secrets,
            services=services,
            host_ip=self._facts.host_ip,
            pod_ips=pod_ips,
            node_name=self._facts.node_name,
            node_allocatable=self._facts.allocatable,
        )

    async def pull_secrets(self, pod: Pod) -> list[Secret]:
        """The pod's image pull secrets that exist."""
        names = {reference.name for reference in pod.spec.image_pull_secrets if reference.name}
        return list((await self._find_all(SECRETS, names, pod.metadata.namespace)).values())

    async def tokens(self, pod: Pod) -> Tokens:
        """Tokens for the pod's projected volumes; raises ApiError."""
        found: dict[TokenKey, str] = {}
        for key in token_requests(pod):
            cached = self._tokens.get((pod.metadata.uid, key))
            if cached is None or time.monotonic() >= cached[1]:
                cached = await self._request_token(pod, key)
                self._tokens[(pod.metadata.uid, key)] = cached
            found[key] = cached[0]
        return Tokens(found)

    def forget(self, uid: str) -> None:
        """Drop the tokens of a pod that is gone."""
        for known in [known for known in self._tokens if known[0] == uid]:
            del self._tokens[known]

    async def _find_all(self, resource: Resource[T], names: set[str], namespace: str) -> dict[str, T]:
        ordered = sorted(names)
        found = await asyncio.gather(*[self._find(resource, name, namespace) for name in ordered])
        return {name: obj for name, matches in zip(ordered, found, strict=True) for obj in matches}

    async def _find(self, resource: Resource[T], name: str, namespace: str) -> list[T]:
        """The object, or nothing."""
        try:
            return [await self._client.get(resource, name, namespace)]
        except NotFound:
            return []

    async def _request_token(self, pod: Pod, key: TokenKey) -> tuple[str, float]:
        audience, life_s = key
        account = pod.spec.service_account_name or "default"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else [],
                "expirationSeconds": life_s,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": pod.metadata.name,
                    "uid": pod.metadata.uid,
                },
            },
        }
        path = f"/api/v1/namespaces/{pod.metadata.namespace}/serviceaccounts/{account}/token"
        answer = json.loads(await self._client.raw("POST", path, body=json.dumps(body).encode()))
        return str(answer["status"]["token"]), time.monotonic() + life_s * REFRESH_SHARE


def config_map_names(pod: Pod) -> set[str]:
    """Every ConfigMap that the pod's volumes and environment name."""
    names: set[str] = set()
    for volume in pod.spec.volumes:
        if volume.config_map:
            names.add(volume.config_map.name)
        for source in volume.projected.sources if volume.projected else ():
            if source.config_map:
                names.add(source.config_map.name)
    for container in all_containers(pod):
        names |= {source.config_map_ref.name for source in container.env_from if source.config_map_ref}
        for variable in container.env:
            if variable.value_from and variable.value_from.config_map_key_ref:
                names.add(variable.value_from.config_map_key_ref.name)
    return names - {""}


def secret_names(pod: Pod) -> set[str]:
    """Every Secret that the pod's volumes and environment name."""
    names: set[str] = set()
    for volume in pod.spec.volumes:
        if volume.secret:
            names.add(volume.secret.secret_name)
        for source in volume.projected.sources if volume.projected else ():
            if source.secret:
                names.add(source.secret.name)
    for container in all_containers(pod):
        names |= {source.secret_ref.name for source in container.env_from if source.secret_ref}
        for variable in container.env:
            if variable.value_from and variable.value_from.secret_key_ref:
                names.add(variable.value_from.secret_key_ref.name)
    return names - {""}
