"""Runs CNI plugins for one interface: ADD through all plugins of a list, DEL in reverse order.

Owns: the environment and the configuration that a plugin gets, and what its answer means. Source: the CNI specification
0.4.0 and 1.0.0. Must not decide which networks an interface belongs to.

Plugins are programs of `bin_dir` and nothing else: they run as root, and a configuration comes from a user of the
cluster.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from kobune.base.errors import RetryableError, TerminalError
from kobune.host.cni.masquerade import remove_left_rules
from kobune.host.run import CommandError, CommandNotFound, Completed, Runner

__all__ = [
    "CNI_BIN_DIR",
    "Attachment",
    "CniFailed",
    "CniPlugins",
    "CniResult",
    "InvalidNetwork",
    "NetworkList",
    "Plugins",
    "parse_network",
]

CNI_BIN_DIR: Final = Path("/usr/lib/cni")
"""Debian's containernetworking-plugins."""
TIMEOUT_S: Final = 60.0
MAX_CONFIG_BYTES: Final = 64 * 1024
MAX_PLUGINS: Final = 16
_TYPE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VERSIONS: Final = ("0.3.0", "0.3.1", "0.4.0", "1.0.0")
_DEFAULT_VERSION: Final = "0.4.0"
_OURS: Final = "dataDir"
"""Where a plugin keeps its files is the node's choice: a path in a user's configuration would be written to as root."""


class InvalidNetwork(TerminalError):
    """A network's configuration cannot be used; the message says why."""


class CniFailed(RetryableError):
    """A plugin failed; the message is its own."""


@dataclass(frozen=True, slots=True)
class NetworkList:
    """A checked configuration: plugins in the order of ADD."""

    name: str
    version: str
    plugins: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Attachment:
    """Which interface of which sandbox. `namespace` is the path of its network namespace, empty when it is gone.

    `mac` and `ips` (ADDRESS/LENGTH) are wishes that plugins with the capability follow; `args` go to all plugins.
    """

    container_id: str
    namespace: str
    interface: str
    mac: str = ""
    ips: tuple[str, ...] = ()
    args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CniResult:
    """What came of an ADD. `ips` are ADDRESS/LENGTH; `raw` is the plugin's own answer."""

    ips: tuple[str, ...] = ()
    mac: str = ""
    mtu: int = 0
    gateways: tuple[str, ...] = ()
    dns: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict)


class Plugins(Protocol):
    """What Kobune needs of CNI plugins."""

    async def add(self, network: NetworkList, attachment: Attachment) -> CniResult:
        """Attach; what a failed ADD left is removed. Raises CniFailed, InvalidNetwork (no such plugin)."""
        ...

    async def delete(self, network: NetworkList, attachment: Attachment, result: Mapping[str, Any]) -> None:
        """Detach; repeatable. `result` is the ADD's `raw`, empty when it is not known. Raises CniFailed."""
        ...


def parse_network(text: str, default_name: str) -> NetworkList:
    """A plugin configuration or a list of them, as in a NetworkAttachmentDefinition's `spec.config`. Pure.

    `default_name` is the network's when the configuration does not name it. Raises InvalidNetwork.
    """
    if len(text.encode()) > MAX_CONFIG_BYTES:
        raise InvalidNetwork(f"spec.config has more than {MAX_CONFIG_BYTES} bytes")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidNetwork(f"spec.config is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidNetwork("spec.config is no JSON object")
    name = document.get("name") or default_name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidNetwork(f"spec.config: name {name!r} is no name of a network")
    version = document.get("cniVersion") or _DEFAULT_VERSION
    if version not in _VERSIONS:
        raise InvalidNetwork(f"spec.config: cniVersion {version!r} is none of {', '.join(_VERSIONS)}")
    plugins = document.get("plugins") if "plugins" in document else [document]
    if not isinstance(plugins, list) or not 0 < len(plugins) <= MAX_PLUGINS:
        raise InvalidNetwork(f"spec.config: plugins must be a list of 1 to {MAX_PLUGINS} configurations")
    for plugin in plugins:
        if not isinstance(plugin, dict):
            raise InvalidNetwork("spec.config: a plugin's configuration is no JSON object")
        _check_type(plugin.get("type"), "type")
        ipam = plugin.get("ipam")
        if ipam:
            if not isinstance(ipam, dict):
                raise InvalidNetwork("spec.config: ipam is no JSON object")
            # The plugin runs it from the same directories.
            _check_type(ipam.get("type"), "ipam.type")
        if _OURS in plugin or (ipam and _OURS in ipam):
            raise InvalidNetwork(f"spec.config: {_OURS} is chosen by the node, leave it out")
    return NetworkList(name, version, tuple(plugins))


def _check_type(value: object, what: str) -> None:
    if not isinstance(value, str) or not _TYPE.fullmatch(value):
        raise InvalidNetwork(f"spec.config: {what} {value!r} is no name of a CNI plugin")


class CniPlugins:
    """`Plugins` of this machine. `ipam_dir` is where host-local keeps its leases."""

    def __init__(self, runner: Runner, bin_dir: Path, ipam_dir: Path) -> None:
        self._runner = runner
        self._bin_dir = bin_dir
        self._ipam_dir = ipam_dir

    async def add(self, network: NetworkList, attachment: Attachment) -> CniResult:
        """See `Plugins.add`."""
        result: Mapping[str, Any] = {}
        for plugin in network.plugins:
            self._program(plugin)
        try:
            for plugin in network.plugins:
                answer = await self._run("ADD", network, plugin, attachment, result)
                result = _decode(answer)
        except (CniFailed, CommandError):
            try:
                await self.delete(network, attachment, result)
            except (CniFailed, CommandError):
                pass  # what failed first matters more; the caller deletes again before it tries again
            raise
        return _result(result, attachment.interface)

    async def delete(self, network: NetworkList, attachment: Attachment, result: Mapping[str, Any]) -> None:
        """See `Plugins.delete`."""
        failure: Exception | None = None
        for plugin in reversed(network.plugins):
            try:
                await self._run("DEL", network, plugin, attachment, result)
            except (CniFailed, CommandError, InvalidNetwork) as error:
                # The others give back what they have.
                failure = failure or error
        if failure is not None:
            raise failure
        if any(plugin.get("ipMasq") for plugin in network.plugins):
            await remove_left_rules(self._runner, network.name, attachment.container_id)

    def _program(self, plugin: Mapping[str, Any]) -> Path:
        program = self._bin_dir / str(plugin["type"])
        for kind in (plugin["type"], (plugin.get("ipam") or {}).get("type")):
            if kind and not (self._bin_dir / str(kind)).is_file():
                raise InvalidNetwork(f"this node has no CNI plugin {kind!r} in {self._bin_dir}")
        return program

    async def _run(
        self,
        command: str,
        network: NetworkList,
        plugin: Mapping[str, Any],
        attachment: Attachment,
        previous: Mapping[str, Any],
    ) -> Completed:
        program = self._program(plugin)
        config = json.dumps(plugin_config(network, plugin, attachment, previous, str(self._ipam_dir))).encode()
        environment = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": attachment.container_id,
            "CNI_NETNS": attachment.namespace,
            "CNI_IFNAME": attachment.interface,
            "CNI_PATH": str(self._bin_dir),
            "CNI_ARGS": _arguments(attachment),
        }
        try:
            done = await self._runner.run(
                [str(program)], timeout_s=TIMEOUT_S, input=config, env=environment, check=False
            )
        except CommandNotFound as error:
            raise InvalidNetwork(str(error)) from None
        if done.returncode != 0:
            raise CniFailed(f"plugin {plugin['type']}: {_complaint(done)}")
        return done


def plugin_config(
    network: NetworkList,
    plugin: Mapping[str, Any],
    attachment: Attachment,
    previous: Mapping[str, Any],
    ipam_dir: str,
) -> dict[str, Any]:
    """What one plugin gets on its standard input. Pure."""
    config: dict[str, Any] = {**plugin, "name": network.name, "cniVersion": network.version}
    if previous:
        config["prevResult"] = previous
    ipam = plugin.get("ipam")
    if ipam and ipam.get("type") == "host-local":
        config["ipam"] = {**ipam, _OURS: ipam_dir}
    wishes: dict[str, Any] = {}
    capabilities = plugin.get("capabilities") or {}
    if attachment.mac and capabilities.get("mac"):
        wishes["mac"] = attachment.mac
    if attachment.ips and capabilities.get("ips"):
        wishes["ips"] = list(attachment.ips)
    if wishes:
        config["runtimeConfig"] = wishes
    if attachment.ips:
        # For IPAM plugins that read the older convention.
        arguments = config.get("args") if isinstance(config.get("args"), dict) else {}
        assert isinstance(arguments, dict)
        config["args"] = {**arguments, "cni": {**arguments.get("cni", {}), "ips": list(attachment.ips)}}
    return config


def _arguments(attachment: Attachment) -> str:
    words = {"IgnoreUnknown": "true", **attachment.args}
    if attachment.mac:
        words["MAC"] = attachment.mac
    return ";".join(f"{name}={value}" for name, value in words.items())


def _decode(done: Completed) -> dict[str, Any]:
    try:
        answer = json.loads(done.stdout or b"{}")
    except ValueError:
        raise CniFailed(f"{done.args[0]}: its answer is no JSON") from None
    return answer if isinstance(answer, dict) else {}


def _complaint(done: Completed) -> str:
    try:
        answer = json.loads(done.stdout)
        message, details = str(answer.get("msg", "")), str(answer.get("details", ""))
    except (ValueError, AttributeError):
        message, details = (done.stderr or done.stdout)[-500:].decode("utf-8", "replace").strip(), ""
    return f"{message}: {details}"[:1000] if details else message[:1000] or f"exit status {done.returncode}"


def _result(answer: Mapping[str, Any], interface: str) -> CniResult:
    ips: Sequence[Any] = answer.get("ips") or ()
    # In the sandbox: the interface itself, not the peer on the node.
    own: Mapping[str, Any] = next(
        (one for one in answer.get("interfaces") or () if one.get("sandbox") and one.get("name") == interface), {}
    )
    return CniResult(
        ips=tuple(str(one["address"]) for one in ips if one.get("address")),
        mac=str(own.get("mac", "")),
        mtu=int(own.get("mtu") or 0),
        gateways=tuple(str(one["gateway"]) for one in ips if one.get("gateway")),
        dns=answer.get("dns") or {},
        raw=answer,
    )
