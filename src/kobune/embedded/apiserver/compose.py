"""Wires the parts of the server together; the only module that knows all of them."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from kobune.embedded.apiserver.admission.certificates import CertificateRequests
from kobune.embedded.apiserver.admission.chain import AdmissionChain, Step
from kobune.embedded.apiserver.admission.escalation import EscalationCheck
from kobune.embedded.apiserver.admission.limits import LimitRanger
from kobune.embedded.apiserver.admission.matching import Matcher
from kobune.embedded.apiserver.admission.namespaces import NamespaceLifecycle
from kobune.embedded.apiserver.admission.nodes import NodeRestriction
from kobune.embedded.apiserver.admission.pods import DefaultTolerations, Priorities, ServiceAccounts
from kobune.embedded.apiserver.admission.podsecurity import PodSecurity
from kobune.embedded.apiserver.admission.policies import Policies
from kobune.embedded.apiserver.admission.protection import NewNodes, StorageDefaults
from kobune.embedded.apiserver.admission.quota import QuotaCheck
from kobune.embedded.apiserver.admission.review import WebhookClient
from kobune.embedded.apiserver.admission.runtime_classes import RuntimeClasses
from kobune.embedded.apiserver.admission.webhooks import MutatingWebhooks, ValidatingWebhooks
from kobune.embedded.apiserver.aggregation import Aggregation
from kobune.embedded.apiserver.allocators import Allocators
from kobune.embedded.apiserver.audit import AuditLog
from kobune.embedded.apiserver.auth.authenticator import Authenticator
from kobune.embedded.apiserver.auth.tokens import ServiceAccountTokens
from kobune.embedded.apiserver.bootstrap import write_defaults
from kobune.embedded.apiserver.cel.check_process import ExpressionChecks
from kobune.embedded.apiserver.conversion import CustomCodec
from kobune.embedded.apiserver.crd import Schemas
from kobune.embedded.apiserver.definitions import Definitions
from kobune.embedded.apiserver.discovery import Discovery
from kobune.embedded.apiserver.expiry import EventExpiry
from kobune.embedded.apiserver.http.message import Handler
from kobune.embedded.apiserver.kinds.nodes import NodeStreams
from kobune.embedded.apiserver.kinds.pods import bind, evict
from kobune.embedded.apiserver.kinds.reviews import Reviews
from kobune.embedded.apiserver.kinds.scale import scale
from kobune.embedded.apiserver.kinds.services import ServiceAllocator
from kobune.embedded.apiserver.kinds.tokens import TokenRequests
from kobune.embedded.apiserver.memory import MemoryCare
from kobune.embedded.apiserver.nonresource import NonResource
from kobune.embedded.apiserver.openapi_answers import OpenApiAnswers
from kobune.embedded.apiserver.pki import Pki
from kobune.embedded.apiserver.rbac.authorizer import Authorizer
from kobune.embedded.apiserver.registry.collection import Item
from kobune.embedded.apiserver.registry.registry import Registry
from kobune.embedded.apiserver.registry.storage import Storage
from kobune.embedded.apiserver.rest.call import Services
from kobune.embedded.apiserver.rest.delete import delete_collected
from kobune.embedded.apiserver.schema import builtin
from kobune.embedded.apiserver.server import ApiServer
from kobune.embedded.apiserver.services_map import ServiceMap
from kobune.embedded.apiserver.subresources import SpecialHandler, Subresources
from kobune.embedded.apiserver.user import ALL_AUTHENTICATED, MASTERS, User
from kobune.embedded.store import RevisionLog

__all__ = ["Server", "compose"]

_HOOKS = "admissionregistration.k8s.io/"
_AUTHN, _AUTHZ = "authentication.k8s.io", "authorization.k8s.io"


class Server:
    """The parts and their background tasks. `storage.open()`, then `build`, then `start`."""

    def __init__(self, storage: Storage, registry: Registry) -> None:
        self.storage = storage
        self.registry = registry
        self.services: Services | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._expressions = ExpressionChecks()
        self._background: list[Callable[[], Coroutine[Any, Any, None]]] = [storage.compact_for_ever]

    async def build(
        self, pki: Pki, token: str, service_endpoints: dict[str, str], audit_log: Path | None = None
    ) -> Handler:
        """The application, with everything written that a server needs from its start."""
        storage = self.storage
        authorizer = Authorizer(storage)
        allocators = Allocators()
        service_map = ServiceMap(storage, service_endpoints)
        webhook_client = WebhookClient(service_map)
        restriction = NodeRestriction(storage)
        admission = self._admission(authorizer, webhook_client, restriction)
        services = Services(storage, self.registry, authorizer, admission, {"allocators": allocators})
        self.services = services
        for info in builtin.resources():
            self.registry.add(info, **builtin.storage_of(info))
        allocators.add("core/services", ServiceAllocator(storage.collection("core/services")))
        await write_defaults(storage, pki)
        definitions = Definitions(
            storage,
            self.registry,
            lambda resource, item: delete_collected(services, resource, item),
            lambda definition, schemas, since: _codec(definition, schemas, since, webhook_client),
        )
        definitions.load()
        self._background += [definitions.run, EventExpiry(storage).run]
        tokens = ServiceAccountTokens(pki.service_account_key_file, self._find)
        admin = User("kobune-admin", (MASTERS, ALL_AUTHENTICATED))
        authenticator = Authenticator({token: admin}, tokens, authorizer)
        discovery = Discovery(self.registry, "127.0.0.1")
        handlers = self._handlers(authenticator, tokens, restriction)
        streams = NodeStreams(pki, service_map)
        handlers |= {
            ("", "pods", "log"): streams.log,
            ("", "pods", "exec"): streams.execute,
            ("", "pods", "attach"): streams.attach,
            ("", "pods", "portforward"): streams.port_forward,
            ("", "pods", "proxy"): streams.pod_proxy,
            ("", "nodes", "proxy"): streams.node_proxy,
            ("", "services", "proxy"): streams.service_proxy,
        }
        care = MemoryCare()
        storage.collection("apiextensions.k8s.io/customresourcedefinitions").listen(lambda _: care.note())
        self._background.append(care.run)
        services.parts["expressions"] = self._expressions
        services.parts["openapi"] = OpenApiAnswers(self.registry, care.note)
        aggregation = Aggregation(storage, self.registry, service_map, pki)
        services.parts["aggregation"] = aggregation
        aggregation.load()
        self._background.append(aggregation.run)
        nonresource = NonResource(services, discovery, tokens)
        application = ApiServer(services, authenticator, nonresource, Subresources(handlers))
        return application if audit_log is None else AuditLog(application, authenticator, audit_log)

    def _admission(
        self, authorizer: Authorizer, webhook_client: WebhookClient, restriction: NodeRestriction
    ) -> AdmissionChain:
        """The steps in Kubernetes' order; hooks see objects that are not stored as well."""
        storage = self.storage
        matcher = Matcher(storage, self.registry)
        lifecycle = NamespaceLifecycle(storage)
        hooks: list[Step] = [
            MutatingWebhooks(storage.collection(_HOOKS + "mutatingwebhookconfigurations"), matcher, webhook_client),
            Policies(
                storage.collection(_HOOKS + "validatingadmissionpolicies"),
                storage.collection(_HOOKS + "validatingadmissionpolicybindings"),
                matcher,
                self.registry,
            ),
            ValidatingWebhooks(storage.collection(_HOOKS + "validatingwebhookconfigurations"), matcher, webhook_client),
        ]
        steps: list[Step] = [
            lifecycle,
            restriction,
            ServiceAccounts(storage),
            DefaultTolerations(),
            Priorities(storage),
            RuntimeClasses(storage),
            StorageDefaults(storage),
            NewNodes(),
            EscalationCheck(authorizer),
            LimitRanger(storage),
            PodSecurity(storage),
            *hooks,
            QuotaCheck(storage),
            CertificateRequests(authorizer),
        ]
        return AdmissionChain(steps, [lifecycle, *hooks])

    async def start(self, url: str) -> None:
        """Start background work."""
        self._tasks = [asyncio.create_task(run()) for run in self._background]

    async def stop(self) -> None:
        """End background work."""
        await self._expressions.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _find(self, resource: str, namespace: str, name: str) -> Item | None:
        return self.storage.collection(resource).get(namespace, name)

    @staticmethod
    def _handlers(
        authenticator: Authenticator, tokens: ServiceAccountTokens, restriction: NodeRestriction
    ) -> dict[tuple[str, str, str], SpecialHandler]:
        reviews = Reviews(authenticator)
        return {
            (_AUTHZ, "subjectaccessreviews", ""): reviews.subject_access,
            (_AUTHZ, "localsubjectaccessreviews", ""): reviews.subject_access,
            (_AUTHZ, "selfsubjectaccessreviews", ""): reviews.self_access,
            (_AUTHZ, "selfsubjectrulesreviews", ""): reviews.self_rules,
            (_AUTHN, "selfsubjectreviews", ""): reviews.self_subject,
            (_AUTHN, "tokenreviews", ""): reviews.token,
            ("", "serviceaccounts", "token"): TokenRequests(tokens, restriction.check_token).create,
            ("", "pods", "binding"): bind,
            ("", "bindings", ""): bind,
            ("", "pods", "eviction"): evict,
            ("*", "*", "scale"): scale,
        }


def _codec(definition: dict[str, Any], schemas: Schemas, since: int, webhooks: WebhookClient) -> CustomCodec | None:
    """A definition with one version whose schema never changed needs none."""
    if len(schemas) == 1 and not since:
        return None
    return CustomCodec(definition, schemas, webhooks, since)


def compose(revision_log: RevisionLog, pki: Callable[[], Pki]) -> Server:
    """The parts over a log."""
    storage = Storage(revision_log)
    return Server(storage, Registry(storage))
