"""What every client of a Kubernetes API promises, whether there is a server behind it or not.

A test module makes the contract its own by a subclass that provides the fixture `client`:

    class TestFake(ClientContract):
        @pytest.fixture
        def client(self) -> Client: ...

Names are unique per test, so one server can serve all of them; everything happens in namespace `default`.
"""

import asyncio
import secrets
from typing import Any

import pytest

from kobune.api.core import ConfigMap, Pod
from kobune.kube.client.core import CONFIG_MAPS, NAMESPACES, PODS
from kobune.kube.client.errors import AlreadyExists, Conflict, Invalid, NotFound
from kobune.kube.client.protocol import Client
from kobune.kube.client.resource import Resource
from kobune.kube.client.types import Patch, PatchType, Preconditions, WatchEvent, WatchEventType

NAMESPACE = "default"
RAW_CONFIG_MAPS: Resource[dict[str, Any]] = Resource("", "v1", "configmaps", "ConfigMap", True, dict)
POD_SPEC = {"containers": [{"name": "main", "image": "demo"}]}


def config_map(name: str, data: dict[str, str] | None = None, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "data": data or {"a": "1"}}


class ClientContract:
    """The promises. `name` is a fresh object name."""

    @pytest.fixture
    def name(self) -> str:
        return f"contract-{secrets.token_hex(4)}"

    async def test_created_objects_are_read_back_typed(self, client: Client, name: str) -> None:
        created = await client.create(CONFIG_MAPS, config_map(name), NAMESPACE)
        assert isinstance(created, ConfigMap)
        assert created.metadata.uid
        assert created.metadata.creation_timestamp
        assert await client.get(CONFIG_MAPS, name, NAMESPACE) == created

    async def test_typed_objects_can_be_created(self, client: Client, name: str) -> None:
        from kobune.api.meta import ObjectMeta

        created = await client.create(
            CONFIG_MAPS, ConfigMap(metadata=ObjectMeta(name=name), data={"x": "y"}), NAMESPACE
        )
        assert created.data == {"x": "y"}

    async def test_unstructured_objects_carry_their_kind(self, client: Client, name: str) -> None:
        await client.create(RAW_CONFIG_MAPS, config_map(name), NAMESPACE)
        document = await client.get(RAW_CONFIG_MAPS, name, NAMESPACE)
        assert (document["apiVersion"], document["kind"]) == ("v1", "ConfigMap")

    async def test_a_missing_object_is_not_found(self, client: Client, name: str) -> None:
        with pytest.raises(NotFound):
            await client.get(CONFIG_MAPS, name, NAMESPACE)
        with pytest.raises(NotFound):
            await client.delete(CONFIG_MAPS, name, NAMESPACE)
        with pytest.raises(NotFound):
            await client.patch(CONFIG_MAPS, name, Patch.merge({"data": {"a": "2"}}), NAMESPACE)

    async def test_a_taken_name_already_exists(self, client: Client, name: str) -> None:
        await client.create(CONFIG_MAPS, config_map(name), NAMESPACE)
        with pytest.raises(AlreadyExists):
            await client.create(CONFIG_MAPS, config_map(name), NAMESPACE)

    async def test_generate_name_makes_distinct_names(self, client: Client, name: str) -> None:
        body = {"metadata": {"generateName": f"{name}-"}}
        first = await client.create(CONFIG_MAPS, body, NAMESPACE)
        second = await client.create(CONFIG_MAPS, body, NAMESPACE)
        assert first.metadata.name.startswith(f"{name}-")
        assert first.metadata.name != second.metadata.name

    async def test_merge_patch_removes_with_null(self, client: Client, name: str) -> None:
        await client.create(CONFIG_MAPS, config_map(name, {"a": "1", "b": "2"}), NAMESPACE)
        patched = await client.patch(CONFIG_MAPS, name, Patch.merge({"data": {"a": None, "c": "3"}}), NAMESPACE)
        assert patched.data == {"b": "2", "c": "3"}

    async def test_a_patch_that_changes_nothing_keeps_the_revision(self, client: Client, name: str) -> None:
        created = await client.create(CONFIG_MAPS, config_map(name), NAMESPACE)
        patched = await client.patch(CONFIG_MAPS, name, Patch.merge({"data": {"a": "1"}}), NAMESPACE)
        assert patched.metadata.resource_version == created.metadata.resource_version

    async def test_a_merge_patch_with_an_old_revision_conflicts(self, client: Client, name: str) -> None:
        created = await client.create(CONFIG_MAPS, config_map(name), NAMESPACE)
        old = created.metadata.resource_version
        await client.patch(CONFIG_MAPS, name, Patch.merge({"data": {"a": "2"}}), NAMESPACE)
        body = {"metadata": {"resourceVersion": old}, "data": {"a": "3"}}
        with pytest.raises(Conflict):
            await client.patch(CONFIG_MAPS, name, Patch.merge(body), NAMESPACE)

    async def test_a_failed_json_patch_test_changes_nothing(self, client: Client, name: str) -> None:
        await client.create(CONFIG_MAPS, config_map(name), NAMESPACE)
        test = {"op": "test", "path": "/data/a", "value": "other"}
        replace = {"op": "replace", "path": "/data/a", "value": "2"}
        with pytest.raises(Invalid):
            await client.patch(CONFIG_MAPS, name, Patch.json(test, replace), NAMESPACE)
        patched = await client.patch(CONFIG_MAPS, name, Patch.json(replace), NAMESPACE)
        assert patched.data == {"a": "2"}

    async def test_strategic_patch_merges_containers_by_name(self, client: Client, name: str) -> None:
        await client.create(PODS, {"metadata": {"name": name}, "spec": POD_SPEC}, NAMESPACE)
        body = {"spec": {"containers": [{"name": "main", "image": "other"}]}}
        patched = await client.patch(PODS, name, Patch(PatchType.STRATEGIC, body), NAMESPACE)
        assert [container.image for container in patched.spec.containers] == ["other"]
        await client.delete(PODS, name, NAMESPACE, grace_period_s=0)

    async def test_replace_with_an_old_revision_conflicts(self, client: Client, name: str) -> None:
        document = await client.create(RAW_CONFIG_MAPS, config_map(name), NAMESPACE)
        changed = {**document, "data": {"a": "2"}}
        assert (await client.replace(RAW_CONFIG_MAPS, changed, NAMESPACE))["data"] == {"a": "2"}
        with pytest.raises(Conflict):
            await client.replace(RAW_CONFIG_MAPS, {**document, "data": {"a": "3"}}, NAMESPACE)

    async def test_apply_creates_then_removes_what_is_no_longer_wanted(self, client: Client, name: str) -> None:
        first = await client.apply(CONFIG_MAPS, config_map(name, {"a": "1", "b": "2"}), NAMESPACE, field_manager="one")
        assert first.data == {"a": "1", "b": "2"}
        second = await client.apply(CONFIG_MAPS, config_map(name, {"b": "3"}), NAMESPACE, field_manager="one")
        assert second.data == {"b": "3"}

    async def test_apply_keeps_what_others_wrote(self, client: Client, name: str) -> None:
        await client.apply(CONFIG_MAPS, config_map(name, {"a": "1"}), NAMESPACE, field_manager="one")
        both = await client.apply(CONFIG_MAPS, config_map(name, {"b": "2"}), NAMESPACE, field_manager="two")
        assert both.data == {"a": "1", "b": "2"}

    async def test_status_and_spec_do_not_touch_each_other(self, client: Client, name: str) -> None:
        body = {"metadata": {"name": name}, "spec": POD_SPEC, "status": {"phase": "Running", "message": "given"}}
        created = await client.create(PODS, body, NAMESPACE)
        assert created.status.message == ""
        status = Patch.merge({"status": {"message": "by status"}, "metadata": {"labels": {"x": "y"}}})
        after_status = await client.patch(PODS, name, status, NAMESPACE, subresource="status")
        assert after_status.status.message == "by status"
        after_spec = await client.patch(
            PODS, name, Patch.merge({"status": {"message": "by spec"}, "metadata": {"labels": {"z": "1"}}}), NAMESPACE
        )
        assert after_spec.status.message == "by status"
        assert after_spec.metadata.labels["z"] == "1"
        await client.delete(PODS, name, NAMESPACE, grace_period_s=0)

    async def test_finalizers_keep_a_deleted_object(self, client: Client, name: str) -> None:
        await client.create(CONFIG_MAPS, config_map(name, finalizers=["example.com/keep"]), NAMESPACE)
        await client.delete(CONFIG_MAPS, name, NAMESPACE)
        kept = await client.get(CONFIG_MAPS, name, NAMESPACE)
        assert kept.metadata.deletion_timestamp
        await client.patch(CONFIG_MAPS, name, Patch.merge({"metadata": {"finalizers": None}}), NAMESPACE)
        with pytest.raises(NotFound):
            await client.get(CONFIG_MAPS, name, NAMESPACE)

    async def test_delete_with_another_uid_conflicts(self, client: Client, name: str) -> None:
        created = await client.create(CONFIG_MAPS, config_map(name), NAMESPACE)
        with pytest.raises(Conflict):
            await client.delete(CONFIG_MAPS, name, NAMESPACE, preconditions=Preconditions(uid="another"))
        await client.delete(CONFIG_MAPS, name, NAMESPACE, preconditions=Preconditions(uid=created.metadata.uid))
        with pytest.raises(NotFound):
            await client.get(CONFIG_MAPS, name, NAMESPACE)

    async def test_cluster_scoped_objects_have_no_namespace(self, client: Client, name: str) -> None:
        created = await client.create(NAMESPACES, {"metadata": {"name": name}})
        assert created.metadata.namespace == ""
        assert (await client.get(NAMESPACES, name)).metadata.uid == created.metadata.uid

    async def test_lists_select_by_label_and_field(self, client: Client, name: str) -> None:
        for suffix, colour in (("a", "red"), ("b", "blue")):
            labels = {"test": name, "colour": colour}
            await client.create(CONFIG_MAPS, config_map(f"{name}-{suffix}", labels=labels), NAMESPACE)

        async def names(label_selector: str, field_selector: str = "") -> list[str]:
            page = await client.list(
                CONFIG_MAPS, NAMESPACE, label_selector=label_selector, field_selector=field_selector
            )
            return [item.metadata.name for item in page.items]

        assert await names(f"test={name}") == [f"{name}-a", f"{name}-b"]
        assert await names(f"test={name},colour!=red") == [f"{name}-b"]
        assert await names(f"test={name},colour in (red,green)") == [f"{name}-a"]
        assert await names(f"test={name},!colour") == []
        assert await names(f"test={name}", f"metadata.name={name}-b") == [f"{name}-b"]

    async def test_lists_come_in_pages(self, client: Client, name: str) -> None:
        for number in range(5):
            await client.create(CONFIG_MAPS, config_map(f"{name}-{number}", labels={"test": name}), NAMESPACE)
        found: list[str] = []
        token = ""
        while True:
            page = await client.list(
                CONFIG_MAPS, NAMESPACE, label_selector=f"test={name}", limit=2, continue_token=token
            )
            assert len(page.items) <= 2
            found += [item.metadata.name for item in page.items]
            token = page.continue_token
            if not token:
                break
        assert found == [f"{name}-{number}" for number in range(5)]

    async def _collect(
        self, client: Client, resource_version: str, label_selector: str, wanted: int
    ) -> list[WatchEvent[ConfigMap]]:
        events: list[WatchEvent[ConfigMap]] = []
        async with asyncio.timeout(10):
            async for event in client.watch(
                CONFIG_MAPS,
                NAMESPACE,
                resource_version=resource_version,
                label_selector=label_selector,
                timeout_s=9,
            ):
                if event.type is not WatchEventType.BOOKMARK:
                    events.append(event)
                if len(events) == wanted:
                    break
        return events

    async def test_a_watch_resumes_after_a_revision(self, client: Client, name: str) -> None:
        labels = {"test": name}
        created = await client.create(CONFIG_MAPS, config_map(name, labels=labels), NAMESPACE)
        await client.patch(CONFIG_MAPS, name, Patch.merge({"data": {"a": "2"}}), NAMESPACE)
        await client.delete(CONFIG_MAPS, name, NAMESPACE)
        events = await self._collect(client, created.metadata.resource_version, f"test={name}", 2)
        assert [event.type for event in events] == [WatchEventType.MODIFIED, WatchEventType.DELETED]
        assert events[0].object is not None
        assert events[0].object.data == {"a": "2"}
        assert int(events[1].resource_version) > int(events[0].resource_version)

    async def test_a_watch_delivers_what_happens_later(self, client: Client, name: str) -> None:
        page = await client.list(CONFIG_MAPS, NAMESPACE)
        watching = asyncio.create_task(self._collect(client, page.resource_version, f"test={name}", 1))
        await asyncio.sleep(0.05)
        await client.create(CONFIG_MAPS, config_map(name, labels={"test": name}), NAMESPACE)
        events = await watching
        assert [event.type for event in events] == [WatchEventType.ADDED]

    async def test_objects_enter_and_leave_a_watched_selection(self, client: Client, name: str) -> None:
        created = await client.create(CONFIG_MAPS, config_map(name), NAMESPACE)
        await client.patch(CONFIG_MAPS, name, Patch.merge({"metadata": {"labels": {"test": name}}}), NAMESPACE)
        await client.patch(CONFIG_MAPS, name, Patch.merge({"metadata": {"labels": {"test": None}}}), NAMESPACE)
        events = await self._collect(client, created.metadata.resource_version, f"test={name}", 2)
        assert [event.type for event in events] == [WatchEventType.ADDED, WatchEventType.DELETED]

    async def test_a_watch_ends_by_itself(self, client: Client) -> None:
        page = await client.list(CONFIG_MAPS, NAMESPACE)
        async with asyncio.timeout(10):
            async for _ in client.watch(CONFIG_MAPS, NAMESPACE, resource_version=page.resource_version, timeout_s=1):
                pass

    async def test_pods_on_a_node_get_a_grace_period(self, client: Client, name: str) -> None:
        await client.create(PODS, {"metadata": {"name": name}, "spec": POD_SPEC | {"nodeName": "somewhere"}}, NAMESPACE)
        await client.delete(PODS, name, NAMESPACE, grace_period_s=7)
        pod: Pod = await client.get(PODS, name, NAMESPACE)
        assert pod.metadata.deletion_grace_period_seconds == 7
        await client.delete(PODS, name, NAMESPACE, grace_period_s=0)
        with pytest.raises(NotFound):
            await client.get(PODS, name, NAMESPACE)
