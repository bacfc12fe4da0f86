"""Installs Kobune into whatever cluster the client speaks to.

Idempotent: each object carries a hash of its manifest, and what is there with the same hash is not written again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from kobune.base.errors import RetryableError
from kobune.kube.client.core import SECRETS
from kobune.kube.client.errors import AlreadyExists, NotFound
from kobune.kube.client.protocol import Client
from kobune.operator.apply import FIELD_MANAGER, Manifest, apply, resource_of, together
from kobune.operator.certificates import (
    KeyPair,
    is_current,
    leaf_requests,
    new_ca,
    new_leaf,
    pair_of,
    tls_secret,
)
from kobune.operator.manifests import base_manifests, kubevirt_resource, namespace_manifest, serving_manifests
from kobune.operator.names import CA_SECRET, KUBEVIRT_NAMESPACE, NAMESPACE
from kobune.operator.policies import handler_policies
from kobune.operator.status import installation_key, mark_installed
from kobune.operator.workloads import WorkloadImages, workload_manifests

__all__ = ["InstallOptions", "install"]

ESTABLISH_TIMEOUT_S: Final = 30.0


class NotEstablished(RetryableError):
    """The API server did not accept the CustomResourceDefinitions in time; the message names them."""


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """`in_cluster` adds the Deployments, the DaemonSet, and what holds each of its pods to its own node; without it,
    the components are run by somebody else.

    `companions` adds the definitions of volume snapshots and network attachments, where no add-on brings them.
    """

    namespace: str = NAMESPACE
    in_cluster: bool = False
    images: WorkloadImages | None = None
    companions: bool = False


async def install(client: Client, options: InstallOptions | None = None) -> None:
    """Make everything exist. Raises `ApiError` of the first object that is refused, and `NotEstablished`."""
    options = options or InstallOptions()
    namespace = options.namespace
    await apply(client, [namespace_manifest(namespace), namespace_manifest(KUBEVIRT_NAMESPACE)])
    base = base_manifests(namespace, companions=options.companions)
    authority, _ = await asyncio.gather(_certificates(client, namespace), apply(client, base))
    await _wait_established(client, [item["metadata"]["name"] for item in base if _is_crd(item)])
    installation = await installation_key(client)
    rest = [
        *serving_manifests(authority.certificate, namespace),
        kubevirt_resource(installation.namespace, installation.name),
    ]
    if options.in_cluster and options.images is not None:
        rest += [*workload_manifests(namespace, options.images), *handler_policies(namespace)]
    await apply(client, rest)
    await mark_installed(client, installation)


async def _certificates(client: Client, namespace: str) -> KeyPair:
    """Make and renew what is missing or old; returns the CA."""
    now = datetime.now(UTC)
    authority = await _pair(client, CA_SECRET, namespace)
    if authority is None or not is_current(authority, now):
        made = new_ca(now)
        authority = await _store_pair(client, CA_SECRET, namespace, made, made.certificate)

    async def leaf(secret: str) -> None:
        request = next(item for item in leaf_requests(namespace) if item.secret == secret)
        pair = await _pair(client, secret, namespace)
        if pair is None or not is_current(pair, now, signed_by=authority.certificate):
            await _store_pair(client, secret, namespace, new_leaf(authority, request, now), authority.certificate)

    await together(leaf(request.secret) for request in leaf_requests(namespace))
    return authority


async def _pair(client: Client, secret: str, namespace: str) -> KeyPair | None:
    try:
        return pair_of((await client.get(SECRETS, secret, namespace)).data)
    except NotFound:
        return None


async def _store_pair(client: Client, name: str, namespace: str, pair: KeyPair, ca_certificate: bytes) -> KeyPair:
    """Write a pair; two installers at once end up with the same one, the first that was created."""
    manifest = tls_secret(name, namespace, pair, ca_certificate)
    try:
        await client.create(SECRETS, manifest, namespace)
    except AlreadyExists:
        existing = await _pair(client, name, namespace)
        if existing is not None and is_current(existing, datetime.now(UTC), signed_by=ca_certificate):
            return existing
        await client.apply(SECRETS, manifest, namespace, field_manager=FIELD_MANAGER, force=True)
    return pair


async def _wait_established(client: Client, names: Sequence[str]) -> None:
    resource = resource_of("CustomResourceDefinition")
    waiting = list(names)
    try:
        async with asyncio.timeout(ESTABLISH_TIMEOUT_S):
            while waiting:
                found = await asyncio.gather(*(client.get(resource, name) for name in waiting))
                waiting = [item["metadata"]["name"] for item in found if not _established(item)]
                if waiting:
                    await asyncio.sleep(0.05)
    except TimeoutError:
        raise NotEstablished(f"not established after {ESTABLISH_TIMEOUT_S:.0f} s: {', '.join(waiting)}") from None


def _established(definition: Manifest) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


def _is_crd(manifest: Manifest) -> bool:
    return bool(manifest["kind"] == "CustomResourceDefinition")
