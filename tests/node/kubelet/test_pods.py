"""Pods on a real node: our API server, scheduler and kubelet, containerd, kubectl."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kobune.api.core import Pod
from kobune.embedded.apiserver.pki import issue_server_certificate
from kobune.embedded.builtin.run import run as run_builtin
from kobune.embedded.kubelet.names import POD_UID
from kobune.embedded.kubelet.networks.cluster import ClusterNetwork
from kobune.embedded.kubelet.run import KubeletConfig
from kobune.embedded.kubelet.run import run as run_kubelet
from kobune.embedded.network.cleanup import cleanup as cleanup_network
from kobune.embedded.network.dns import DnsConfig
from kobune.embedded.network.run import NetworkConfig
from kobune.embedded.network.run import run as run_network
from kobune.embedded.scheduler.run import run as run_scheduler
from kobune.embedded.storage.run import StorageConfig
from kobune.embedded.storage.run import install as install_storage
from kobune.embedded.storage.run import run as run_storage
from kobune.host.cni import CNI_BIN_DIR, CniPlugins
from kobune.host.cri import CriClient
from kobune.host.mount import HostMounter
from kobune.host.run import HostRunner
from kobune.host.run import run as run_command
from kobune.kube.client.config import load_config
from kobune.kube.client.core import (
    CONFIG_MAPS,
    NODES,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    SERVICES,
)
from kobune.kube.client.errors import NotFound
from kobune.kube.client.http import HttpClient
from kobune.kube.client.types import Patch
from kobune.kube.testing import eventually_true
from support.apiserver import api_server
from support.containerd import TEST_IMAGE, TestNode
from support.registry import serve_registry

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]
NODE = "node1"


@dataclass
class Cluster:
    """What the tests use; `kubelet` is replaced when a test restarts it."""

    client: HttpClient
    kubeconfig: Path
    config: KubeletConfig
    kubelet: asyncio.Task[None]

    async def create(self, name: str, *containers: dict[str, Any], **spec: Any) -> None:
        body = {
            "metadata": {"name": name},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "c", "image": TEST_IMAGE} | own for own in containers],
                **spec,
            },
        }
        await self.client.create(PODS, body, "default")

    async def pod(self, name: str) -> Pod:
        return await self.client.get(PODS, name, "default")

    async def until_phase(self, name: str, phase: str) -> Pod:
        async def reached() -> bool:
            return (await self.pod(name)).status.phase == phase

        try:
            await eventually_true(reached, f"{name} {phase}", timeout_s=60)
        except AssertionError:
            raise AssertionError(f"{name} is not {phase}: {(await self.pod(name)).status}") from None
        return await self.pod(name)

    async def until_ready(self, name: str) -> Pod:
        async def ready() -> bool:
            statuses = (await self.pod(name)).status.container_statuses
            return bool(statuses) and all(status.ready for status in statuses)

        await eventually_true(ready, f"{name} ready", timeout_s=60)
        return await self.pod(name)

    async def delete(self, name: str) -> None:
        await self.client.delete(PODS, name, "default")

        async def gone() -> bool:
            try:
                await self.pod(name)
            except NotFound:
                return True
            return False

        await eventually_true(gone, f"{name} gone", timeout_s=60)

    async def kubectl(self, *args: str, stdin: bytes | None = None, check: bool = True) -> str:
        done = await run_command(
            ["kubectl", f"--kubeconfig={self.kubeconfig}", *args], timeout_s=30, input=stdin, check=check
        )
        return done.text

    async def restart_kubelet(self) -> None:
        self.kubelet.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.kubelet
        await self.start_kubelet()

    async def start_kubelet(self) -> None:
        ready = asyncio.Event()
        self.kubelet = asyncio.create_task(run_kubelet(self.config, ready=ready))
        waiter = asyncio.create_task(ready.wait())
        await asyncio.wait({self.kubelet, waiter}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        assert ready.is_set(), "the kubelet did not get ready"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def cluster(node: TestNode) -> AsyncIterator[Cluster]:
    async with api_server(node.data_dir / "api") as server:
        certificate, key = issue_server_certificate(node.data_dir / "api", f"system:node:{NODE}", ["127.0.0.1"])
        (node.data_dir / "kubelet.crt").write_bytes(certificate)
        (node.data_dir / "kubelet.key").write_bytes(key)
        config = KubeletConfig(
            kubeconfig=server.kubeconfig,
            root=node.data_dir / "kubelet",
            node_name=NODE,
            containerd_socket=node.containerd.socket,
            pod_logs=node.data_dir / "logs" / "pods",
            run_dir=node.data_dir / "run",
            pod_subnet=node.instance.network.subnet,
            node_ip="127.0.0.1",
            listen_host="127.0.0.1",
            listen_port=0,
            tls_cert=node.data_dir / "kubelet.crt",
            tls_key=node.data_dir / "kubelet.key",
            client_ca=server.ca_file,
            instance=node.instance,
            cluster_dns=(node.instance.network.gateway,),
        )
        network = node.instance.network
        dns = DnsConfig(node.data_dir / "dns", network.bridge, network.gateway_addresses)
        # dnsmasq reads its file as an unprivileged user.
        node.data_dir.chmod(0o755)
        client = HttpClient(load_config(server.kubeconfig))
        helpers = [
            asyncio.create_task(run_builtin(server.kubeconfig)),
            asyncio.create_task(run_scheduler(server.kubeconfig)),
            asyncio.create_task(run_storage(StorageConfig(server.kubeconfig, NODE, node.data_dir / "volumes"))),
            asyncio.create_task(run_network(NetworkConfig(server.kubeconfig, node.instance.service_table, dns))),
        ]
        made = Cluster(client, server.kubeconfig, config, helpers[0])
        await made.start_kubelet()

        async def account() -> bool:
            try:
                await client.get(SERVICE_ACCOUNTS, "default", "default")
            except NotFound:
                return False
            return True

        await eventually_true(account, "the default service account")
        await install_storage(client)
        yield made
        for task in [made.kubelet, *helpers]:
            task.cancel()
        await asyncio.gather(made.kubelet, *helpers, return_exceptions=True)
        await client.close()
        assert await cleanup_network(node.instance.service_table, dns.directory) == []


async def test_the_node_is_registered_and_ready(cluster: Cluster) -> None:
    node = await cluster.client.get(NODES, NODE)
    conditions = {own.type: own.status for own in node.status.conditions}
    assert conditions["Ready"] == "True"
    assert int(node.status.allocatable["cpu"]) >= 1
    assert node.status.node_info.container_runtime_version.startswith("containerd://")


async def test_volumes_environment_user_and_logs(cluster: Cluster) -> None:
    await cluster.client.create(CONFIG_MAPS, {"metadata": {"name": "cm"}, "data": {"key": "value"}}, "default")
    await cluster.client.create(SECRETS, {"metadata": {"name": "s"}, "data": {"pw": "Z2VoZWlt"}}, "default")
    script = (
        "cat /d/x /cm/key /s/pw; echo; id; echo $POD_IP $KEY $MEM; ls /img; touch /mem/y;"
        " test -s /var/run/secrets/kubernetes.io/serviceaccount/token && echo token; sleep 1000"
    )
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("d", "cm", "s", "img", "mem")]
    await cluster.create(
        "volumes",
        {
            "command": ["sh", "-c", script],
            "securityContext": {
                "runAsUser": 107,
                "runAsGroup": 107,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
            "env": [
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "key"}}},
                {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
            ],
            "volumeMounts": mounts,
        },
        securityContext={"fsGroup": 107},
        initContainers=[
            {
                "name": "init",
                "image": TEST_IMAGE,
                "command": ["sh", "-c", "echo init > /d/x"],
                "volumeMounts": mounts[:1],
            }
        ],
        volumes=[
            {"name": "d", "emptyDir": {}},
            {"name": "cm", "configMap": {"name": "cm"}},
            {"name": "s", "secret": {"secretName": "s"}},
            {"name": "img", "image": {"reference": TEST_IMAGE, "pullPolicy": "IfNotPresent"}},
            {"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ],
    )
    pod = await cluster.until_ready("volumes")

    async def said() -> bool:
        return "token" in await cluster.kubectl("logs", "volumes", "-c", "c")

    await eventually_true(said, "the last line")
    lines = (await cluster.kubectl("logs", "volumes", "-c", "c")).splitlines()
    assert lines[:4] == [
        "init",
        "valuegeheim",
        "uid=107(qemu) gid=107(qemu) groups=107(qemu)",
        f"{pod.status.pod_ip} value 67108864",
    ]
    assert "bin" in lines
    directory = cluster.config.root / "pods" / pod.metadata.uid
    assert HostMounter().below(directory)
    await cluster.delete("volumes")

    async def clean() -> bool:
        return not directory.exists() and not list(cluster.config.pod_logs.glob(f"*{pod.metadata.uid}"))

    await eventually_true(clean, "nothing is left of the pod")
    assert HostMounter().below(directory) == []


async def test_commands_get_input_its_end_and_their_exit_status(cluster: Cluster) -> None:
    await cluster.create("exec", {"command": ["sleep", "1000"]})
    await cluster.until_ready("exec")
    assert await cluster.kubectl("exec", "exec", "--", "sh", "-c", "echo out") == "out\n"
    assert await cluster.kubectl("exec", "-i", "exec", "--", "wc", "-c", stdin=b"x" * 300_000) == "300000\n"
    done = await run_command(
        ["kubectl", f"--kubeconfig={cluster.kubeconfig}", "exec", "exec", "--", "sh", "-c", "exit 7"],
        timeout_s=30,
        check=False,
    )
    assert done.returncode == 7

    async def clean() -> bool:
        return not list((cluster.config.run_dir / "exec").iterdir())

    await eventually_true(clean, "the pipes are removed")
    await cluster.delete("exec")


async def test_a_restarted_kubelet_adopts_its_pods_without_a_write(cluster: Cluster) -> None:
    await cluster.create("adopted", {"command": ["sleep", "1000"]})
    before = await cluster.until_ready("adopted")
    await cluster.restart_kubelet()
    await asyncio.sleep(1)
    after = await cluster.pod("adopted")
    assert after.status == before.status
    assert after.metadata.resource_version == before.metadata.resource_version
    await cluster.delete("adopted")


async def test_a_pod_deleted_while_the_kubelet_was_down_is_ended(cluster: Cluster) -> None:
    await cluster.create("orphan", {"command": ["sleep", "1000"]})
    pod = await cluster.until_ready("orphan")
    cluster.kubelet.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await cluster.kubelet
    await cluster.client.delete(PODS, "orphan", "default", grace_period_s=0)
    await cluster.start_kubelet()
    directory = cluster.config.root / "pods" / pod.metadata.uid

    async def gone() -> bool:
        return not directory.exists()

    await eventually_true(gone, "the orphan is ended", timeout_s=60)


async def test_a_killed_containerd_comes_back_and_pods_live_on(cluster: Cluster, node: TestNode) -> None:
    await cluster.create("survivor", {"command": ["sh", "-c", "while :; do date; sleep 0.2; done"]})
    before = await cluster.until_ready("survivor")
    pid = node.daemon.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    async def back() -> bool:
        return node.daemon.pid() not in (None, pid) and "out" in await cluster.kubectl(
            "exec", "survivor", "--", "echo", "out", check=False
        )

    await eventually_true(back, "containerd is back", timeout_s=60)
    after = await cluster.pod("survivor")
    assert after.status.container_statuses[0].container_id == before.status.container_statuses[0].container_id
    assert after.status.container_statuses[0].restart_count == 0
    await cluster.delete("survivor")


def cluster_network(node: TestNode) -> ClusterNetwork:
    network, runner = node.instance.network, HostRunner()
    plugins = CniPlugins(runner, CNI_BIN_DIR, network.state_dir)
    return ClusterNetwork(network, plugins, runner, HostMounter(), node.containerd.network_namespaces)


async def sandbox_of(node: TestNode, pod: Pod) -> str:
    cri = CriClient(node.containerd.socket)
    try:
        [sandbox] = await cri.list_sandboxes({POD_UID: pod.metadata.uid})
        return sandbox.id
    finally:
        await cri.close()


async def until_detached(node: TestNode, sandbox_id: str) -> None:
    async def detached() -> bool:
        return sandbox_id not in await cluster_network(node).owners()

    await eventually_true(detached, "the sandbox has nothing in the network", timeout_s=60)


async def test_a_pod_whose_interface_has_no_address_any_more_leaves_no_rules(cluster: Cluster, node: TestNode) -> None:
    """A bridge binding gives the address to a guest: the bridge plugin does not find the rules then."""
    await cluster.create("moved", {"command": ["sleep", "1000"]})
    sandbox_id = await sandbox_of(node, await cluster.until_ready("moved"))
    cri = CriClient(node.containerd.socket)
    namespace = await cri.sandbox_network_namespace(sandbox_id)
    await cri.close()
    await run_command(["nsenter", f"--net={namespace}", "ip", "address", "flush", "dev", "eth0"], timeout_s=10)
    await cluster.delete("moved")
    await until_detached(node, sandbox_id)


async def test_a_pod_whose_shim_was_killed_gives_back_its_network(cluster: Cluster, node: TestNode) -> None:
    await cluster.create("shimless", {"command": ["sleep", "1000"]}, restartPolicy="Never")
    sandbox_id = await sandbox_of(node, await cluster.until_ready("shimless"))
    shims = await run_command(["pgrep", "-f", f"containerd-shim-runc-v2 .*-id {sandbox_id}"], timeout_s=10)
    os.kill(int(shims.text), signal.SIGKILL)
    await cluster.until_phase("shimless", "Failed")
    await until_detached(node, sandbox_id)
    await cluster.delete("shimless")


async def test_a_sandbox_that_the_runtime_has_lost_is_detached(cluster: Cluster, node: TestNode) -> None:
    await cluster.create("lost", {"command": ["sleep", "1000"]}, restartPolicy="Never")
    sandbox_id = await sandbox_of(node, await cluster.until_ready("lost"))
    attached = cluster_network(node)
    assert sandbox_id in await attached.owners()
    # As the kubelet does with one that the runtime does not list for long.
    await attached.release(sandbox_id)
    assert sandbox_id not in await attached.owners()
    # And what the runtime still does about it, repeats it.
    await cluster.delete("lost")


async def test_a_finished_pod_tells_exit_codes_and_messages(cluster: Cluster) -> None:
    await cluster.create(
        "failed",
        {"command": ["sh", "-c", "echo gone wrong > /dev/termination-log; exit 5"]},
        restartPolicy="Never",
    )
    pod = await cluster.until_phase("failed", "Failed")
    ended = pod.status.container_statuses[0].state.terminated
    assert ended is not None
    assert (ended.exit_code, ended.reason, ended.message) == (5, "Error", "gone wrong\n")
    await cluster.delete("failed")


async def test_a_container_over_its_memory_is_killed(cluster: Cluster) -> None:
    await cluster.create(
        "oom",
        {
            "command": ["sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1"],
            "resources": {"limits": {"memory": "20Mi"}},
        },
        restartPolicy="Never",
    )
    pod = await cluster.until_phase("oom", "Failed")
    ended = pod.status.container_statuses[0].state.terminated
    assert ended is not None
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")
    await cluster.delete("oom")


async def test_pods_reach_each_other_and_readiness_follows_http(cluster: Cluster) -> None:
    await cluster.create(
        "server",
        {
            "command": ["sh", "-c", "mkdir /w; sleep 1; echo hello > /w/index.html; exec httpd -f -p 8080 -h /w"],
            "ports": [{"containerPort": 8080, "name": "web"}],
            "readinessProbe": {"httpGet": {"port": "web", "path": "/"}, "periodSeconds": 1},
        },
    )
    server = await cluster.until_ready("server")
    await cluster.create(
        "client",
        {"command": ["sh", "-c", f"wget -q -O - http://{server.status.pod_ip}:8080/"]},
        restartPolicy="Never",
    )
    await cluster.until_phase("client", "Succeeded")
    assert await cluster.kubectl("logs", "client") == "hello\n"
    await cluster.delete("client")
    await cluster.delete("server")


async def test_a_host_network_pod_has_the_nodes_address(cluster: Cluster) -> None:
    await cluster.create("host", {"command": ["sleep", "1000"]}, hostNetwork=True)
    pod = await cluster.until_ready("host")
    assert pod.status.pod_ip == "127.0.0.1"
    await cluster.delete("host")


async def test_services_are_reached_by_name_and_refuse_without_a_pod(cluster: Cluster) -> None:
    spec = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    service = await cluster.client.create(SERVICES, {"metadata": {"name": "web"}, "spec": spec}, "default")
    get = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3"
    await cluster.create("asker", {"command": ["sleep", "1000"]})
    await cluster.until_ready("asker")

    async def ask(address: str) -> str:
        return await cluster.kubectl(
            "exec", "asker", "--", "sh", "-c", f"{get} {address} 80 2>&1 | tail -1", check=False
        )

    assert "refused" in await ask(service.spec.cluster_ip)
    body = {
        "metadata": {"name": "backend", "labels": {"app": "web"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "c",
                    "image": TEST_IMAGE,
                    "command": ["sh", "-c", "mkdir /w; echo found > /w/index.html; exec httpd -f -p 8080 -h /w"],
                }
            ],
        },
    }
    await cluster.client.create(PODS, body, "default")
    await cluster.until_ready("backend")
    for address in (service.spec.cluster_ip, "web", "web.default.svc.cluster.local"):

        async def answers(where: str = address) -> bool:
            return "found" in await ask(where)

        await eventually_true(answers, f"an answer from {address}", timeout_s=15)
    reader, writer = await asyncio.open_connection(service.spec.cluster_ip, 80)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert b"found" in await asyncio.wait_for(reader.read(), 5)
    writer.close()
    itself = await cluster.kubectl("exec", "backend", "--", "sh", "-c", f"{get} web 80 | tail -1")
    assert itself == "found\n"
    await cluster.delete("backend")
    await cluster.delete("asker")


async def test_claims_get_local_volumes_that_keep_their_data_and_grow(cluster: Cluster) -> None:
    for name, mode in (("files", "Filesystem"), ("disk", "Block")):
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": mode,
            "resources": {"requests": {"storage": "16Mi"}},
        }
        await cluster.client.create(PERSISTENT_VOLUME_CLAIMS, {"metadata": {"name": name}, "spec": spec}, "default")
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in ("files", "disk")]

    def container(script: str) -> dict[str, Any]:
        return {
            "command": ["sh", "-c", script],
            "securityContext": {"runAsUser": 107, "runAsGroup": 107},
            "volumeMounts": [{"name": "files", "mountPath": "/files"}],
            "volumeDevices": [{"name": "disk", "devicePath": "/dev/disk"}],
        }

    async def play(name: str, script: str) -> str:
        context = {"fsGroup": 107}
        await cluster.create(name, container(script), volumes=volumes, restartPolicy="Never", securityContext=context)
        await cluster.until_phase(name, "Succeeded")
        said = await cluster.kubectl("logs", name)
        await cluster.delete(name)
        return said

    await play("writer", "echo kept > /files/x; printf block | dd of=/dev/disk conv=notrunc")
    assert await play("reader", "cat /files/x; dd if=/dev/disk bs=5 count=1 2>/dev/null") == "kept\nblock"
    larger = Patch.merge({"spec": {"resources": {"requests": {"storage": "24Mi"}}}})
    await cluster.client.patch(PERSISTENT_VOLUME_CLAIMS, "disk", larger, "default")

    async def grown() -> bool:
        claim = await cluster.client.get(PERSISTENT_VOLUME_CLAIMS, "disk", "default")
        return claim.status.capacity.get("storage") == "24Mi"

    await eventually_true(grown, "the claim has grown", timeout_s=15)
    assert await play("measurer", "dd if=/dev/disk of=/dev/null bs=1M 2>&1 | head -1") == "24+0 records in\n"
    for name in ("files", "disk"):
        await cluster.client.delete(PERSISTENT_VOLUME_CLAIMS, name, "default")
    directory = cluster.config.root.parent / "volumes"

    async def erased() -> bool:
        left = (await cluster.client.list(PERSISTENT_VOLUMES)).items
        return not left and not list(directory.iterdir())

    await eventually_true(erased, "volumes are erased with their claims", timeout_s=15)
    devices = await run_command(["losetup", "--list", "--noheadings"], timeout_s=10)
    assert str(directory) not in devices.text


async def test_an_image_is_pulled_from_a_private_registry(cluster: Cluster) -> None:
    archive = cluster.config.root.parent / "app.tar"
    socket = cluster.config.containerd_socket
    exported = ["ctr", "--address", str(socket), "--namespace", "k8s.io", "images", "export", str(archive), TEST_IMAGE]
    await run_command(exported, timeout_s=60)
    async with serve_registry(("puller", "secret")) as registry:
        registry.add("team/app:v1", archive)
        image = registry.reference("team/app:v1")
        await cluster.create("refused", {"image": image, "command": ["true"]}, restartPolicy="Never")

        async def said_why() -> bool:
            statuses = (await cluster.pod("refused")).status.container_statuses
            waiting = statuses[0].state.waiting if statuses and statuses[0].state else None
            return waiting is not None and waiting.reason in ("ErrImagePull", "ImagePullBackOff")

        await eventually_true(said_why, "the pull is refused without credentials", timeout_s=60)
        config = {"auths": {registry.address: {"username": "puller", "password": "secret"}}}
        secret = {
            "metadata": {"name": "pull"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps(config)},
        }
        await cluster.client.create(SECRETS, secret, "default")
        run = {"image": image, "command": ["echo", "pulled"]}
        await cluster.create("private", run, restartPolicy="Never", imagePullSecrets=[{"name": "pull"}])
        await cluster.until_phase("private", "Succeeded")
        assert await cluster.kubectl("logs", "private") == "pulled\n"
        # The layers were on the node already, by their digests: what is asked for is the name.
        assert any("/v2/team/app/manifests/v1" in request for request in registry.requests)
        await cluster.delete("private")
        await cluster.delete("refused")
