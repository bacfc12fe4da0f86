"""Manifests of the guests that the feature tests look into, and the objects that they refer to."""

import base64
from typing import Any

import yaml

__all__ = ["CONFIG", "MAC", "SECRET", "USER_DATA", "everything", "twins"]

MAC = "02:4b:6f:62:75:6e"
CONFIG = "read from a configMap"
SECRET = "read from a secret"
# The account with the key is the default user, so that its password stays as the image has it.
USER_DATA = """#cloud-config
hostname: from-secret
user: kobune
password: kobune
chpasswd: {expire: false}
ssh_authorized_keys: ["%s"]
write_files:
- path: /etc/told-by-cloud-init
  content: "value on the disk"
runcmd:
- echo "run by cloud-init" > /run/ran
"""


def _disk(name: str, bus: str = "virtio", **more: Any) -> dict[str, Any]:
    return {"name": name, "disk": {"bus": bus}, **more}


def _thing(version: str, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _data(kind: str, name: str, **values: str) -> dict[str, Any]:
    field = "stringData" if kind == "Secret" else "data"
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, field: values}


def _specification(
    *, root: dict[str, Any], disks: list[Any], volumes: list[Any], domain: dict[str, Any], **more: Any
) -> dict[str, Any]:
    domain = dict(domain)
    interface = {"name": "default", "masquerade": {}, **domain.pop("interface", {})}
    devices = {"disks": [root, *disks], "interfaces": [interface], "rng": {}}
    return {
        "terminationGracePeriodSeconds": 15,
        "domain": {**domain, "devices": devices},
        "networks": [{"name": "default", "pod": {}}],
        "volumes": [{"name": "root", "containerDisk": {"image": "kobune/demo"}}, *volumes],
        **more,
    }


def _machine(name: str, strategy: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"guest": name}}, "spec": spec}
    return _thing("kubevirt.io/v1", "VirtualMachine", name, {"runStrategy": strategy, "template": template, **more})


def _access(secret: str, method: dict[str, Any]) -> dict[str, Any]:
    return {"sshPublicKey": {"source": {"secret": {"secretName": secret}}, "propagationMethod": method}}


def _full() -> dict[str, Any]:
    """Two CPUs, a specified address, a list of ports, and a disk of every kind of object."""
    volumes: list[dict[str, Any]] = [
        {"name": "spare", "emptyDisk": {"capacity": "48Mi"}},
        {"name": "config", "configMap": {"name": "full-config"}},
        {"name": "hidden", "secret": {"secretName": "full-secret"}},
        {"name": "account", "serviceAccount": {"serviceAccountName": "default"}},
        {"name": "claim", "persistentVolumeClaim": {"claimName": "full-claim"}},
        {"name": "init", "cloudInitNoCloud": {"secretRef": {"name": "full-userdata"}}},
    ]
    spec = _specification(
        root=_disk("root"),
        disks=[*(_disk(one["name"], serial=one["name"]) for one in volumes[:-1]), _disk("init")],
        volumes=volumes,
        domain={
            "cpu": {"sockets": 1, "cores": 2, "threads": 1},
            "memory": {"guest": "192Mi"},
            "interface": {"macAddress": MAC, "ports": [{"port": 22}, {"port": 8081}]},
        },
        readinessProbe={"guestAgentPing": {}, "periodSeconds": 1},
        accessCredentials=[_access("full-key", {"noCloud": {}})],
    )
    return _machine("full", "Always", spec)


def _sized() -> dict[str, Any]:
    """Its sizes and its bus come from an instancetype and a preference; a TCP probe says when it is ready."""
    fields = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
    user_data = base64.b64encode(b"#cloud-config\nhostname: inline\n").decode()
    spec = _specification(
        root={"name": "root", "disk": {}, "serial": "onscsi"},
        disks=[{"name": "self", "cdrom": {"bus": "scsi"}}, _disk("init")],
        volumes=[
            {"name": "self", "downwardAPI": {"fields": fields}},
            {"name": "init", "cloudInitConfigDrive": {"userDataBase64": user_data}},
        ],
        domain={},
        readinessProbe={"tcpSocket": {"port": 22}, "periodSeconds": 1},
        accessCredentials=[_access("sized-key", {"qemuGuestAgent": {"users": ["kobune"]}})],
    )
    return _machine(
        "sized",
        "RerunOnFailure",
        spec,
        instancetype={"kind": "VirtualMachineInstancetype", "name": "tiny"},
        preference={"kind": "VirtualMachinePreference", "name": "scsi"},
    )


def _small(memory: str) -> dict[str, Any]:
    return _specification(root=_disk("root"), disks=[], volumes=[], domain={"memory": {"guest": memory}})


def twins() -> str:
    """A set of two guests."""
    labels = {"set": "twins"}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": _small("128Mi")},
    }
    return yaml.safe_dump(_thing("kubevirt.io/v1", "VirtualMachineInstanceReplicaSet", "twins", spec))


def _client() -> dict[str, Any]:
    command = "echo from-the-pod > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"
    container = {
        "name": "client",
        "image": "kobune/toolbox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", command],
    }
    return _thing("v1", "Pod", "peer", {"terminationGracePeriodSeconds": 1, "containers": [container]})


def everything(keys: dict[str, str]) -> str:
    """All manifests but that of the set; `keys` are public ssh keys for `userdata`, `full` and `sized`."""
    claim = {"accessModes": ["ReadWriteOnce"], "volumeMode": "Block", "resources": {"requests": {"storage": "32Mi"}}}
    service = {"selector": {"guest": "full"}, "ports": [{"name": "ssh", "port": 2222, "targetPort": 22}]}
    instancetype = {"cpu": {"guest": 2}, "memory": {"guest": "160Mi"}}
    preference = {"cpu": {"preferredCPUTopology": "cores"}, "devices": {"preferredDiskBus": "scsi"}}
    documents = [
        _data("ConfigMap", "full-config", told=CONFIG),
        _data("Secret", "full-secret", hidden=SECRET),
        _data("Secret", "full-userdata", userdata=USER_DATA % keys["userdata"]),
        _data("Secret", "full-key", key=keys["full"]),
        _data("Secret", "sized-key", key=keys["sized"]),
        _thing("v1", "PersistentVolumeClaim", "full-claim", claim),
        _thing("v1", "Service", "full", service),
        _thing("instancetype.kubevirt.io/v1beta1", "VirtualMachineInstancetype", "tiny", instancetype),
        _thing("instancetype.kubevirt.io/v1beta1", "VirtualMachinePreference", "scsi", preference),
        _client(),
        _full(),
        _sized(),
        _machine("once", "Once", _small("128Mi")),
    ]
    return yaml.safe_dump_all(documents)
