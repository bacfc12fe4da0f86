"""Volumes of a machine to be created: what each volume flag adds to the manifest. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final

import click

from kobune.cli.create.fields import Fields, boot_order, parse_fields

__all__ = ["Disks", "add_claim", "add_container_disk", "add_import", "add_sysprep"]

Document = dict[str, Any]

# What each kind of source needs besides its type; everything else of _IMPORT_KEYS is optional where it means something.
_REQUIRED: Final = {
    "blank": ("size",),
    "http": ("url",),
    "s3": ("url",),
    "gcs": ("url",),
    "registry": ("url",),
    "imageio": ("url", "diskid"),
    "vddk": ("url", "uuid", "thumbprint", "backingfile", "secretref"),
    "pvc": ("src",),
    "snapshot": ("src",),
    "ds": ("src",),
}
_IMPORT_KEYS: Final = (
    "type", "src", "url", "size", "name", "bootorder", "storageclass", "accessmode", "volumemode", "secretref",
    "certconfigmap", "pullmethod", "diskid", "uuid", "thumbprint", "backingfile",
)  # fmt: skip
_SOURCE_FIELDS: Final = {
    "url": "url",
    "secretref": "secretRef",
    "certconfigmap": "certConfigMap",
    "pullmethod": "pullMethod",
    "diskid": "diskId",
    "uuid": "uuid",
    "thumbprint": "thumbprint",
    "backingfile": "backingFile",
}


@dataclass
class Disks:
    """The lists of a manifest as they grow; `bootable` is the volume that a preference can be inferred from."""

    machine: str
    volumes: list[Document] = field(default_factory=list)
    disks: list[Document] = field(default_factory=list)
    templates: list[Document] = field(default_factory=list)
    _boot: list[tuple[int, str]] = field(default_factory=list)

    def add(self, option: str, name: str, source: Document, order: int | None, *, bootable: bool = False) -> None:
        """A volume, and a disk only where the boot order needs one: admission adds the others."""
        if any(volume["name"] == name for volume in self.volumes):
            raise click.UsageError(f"{option}: there is already a volume named {name!r}; choose another name:...")
        if order is not None:
            if any(disk.get("bootOrder") == order for disk in self.disks):
                raise click.UsageError(f"{option}: bootorder {order} is given twice")
            self.disks.append({"name": name, "bootOrder": order, "disk": {}})
        self.volumes.append({"name": name, **source})
        if bootable:
            self._boot.append((order if order is not None else 1000 + len(self._boot), name))

    def prefer_virtio(self) -> None:
        """Name the fastest bus for every disk: without a preference the server's default would be SATA."""
        named = {disk["name"]: disk for disk in self.disks}
        plain = [named.get(volume["name"]) or {"name": volume["name"], "disk": {}} for volume in self.volumes]
        self.disks = [{**disk, "disk": {"bus": "virtio"}} if "disk" in disk else disk for disk in plain]

    @property
    def bootable(self) -> str:
        """The first volume in boot order that has labels to infer from; empty without any."""
        return min(self._boot)[1] if self._boot else ""


def add_container_disk(disks: Disks, text: str) -> None:
    """`src:IMAGE[,name:NAME][,bootorder:N]`; the image's name may hold colons."""
    option = "--volume-containerdisk"
    fields = parse_fields(option, text, ("src", "name", "bootorder"), ("src",))
    name = fields.get("name") or f"{disks.machine}-containerdisk-{len(disks.volumes)}"
    disks.add(option, name, {"containerDisk": {"image": fields["src"]}}, boot_order(option, fields))


def add_claim(disks: Disks, text: str) -> None:
    """`src:NAME[,name:NAME][,bootorder:N]`: a claim of the machine's namespace, used as it is."""
    option = "--volume-pvc"
    fields = parse_fields(option, text, ("src", "name", "bootorder"), ("src",))
    source = {"persistentVolumeClaim": {"claimName": fields["src"]}}
    disks.add(option, fields.get("name") or fields["src"], source, boot_order(option, fields), bootable=True)


def add_sysprep(disks: Disks, text: str) -> None:
    """`src:NAME[,type:configMap|secret]`: answers for a Windows setup."""
    option = "--volume-sysprep"
    fields = parse_fields(option, text, ("src", "type"), ("src",))
    kind = fields.get("type", "configMap").lower()
    if kind not in ("configmap", "secret"):
        raise click.UsageError(f"{option}: type is configMap or secret, not {fields['type']!r}")
    source = {"configMap" if kind == "configmap" else "secret": {"name": fields["src"]}}
    disks.add(option, "sysprepdisk", {"sysprep": source}, None)
    # Windows Setup looks for answers on a CD only.
    disks.disks.append({"name": "sysprepdisk", "cdrom": {"bus": "sata"}})


def add_import(disks: Disks, text: str) -> None:
    """`type:KIND,...`: a DataVolume of the machine's own, filled from a source."""
    option = "--volume-import"
    fields = parse_fields(option, text, _IMPORT_KEYS, ("type",))
    kind = {"gs": "gcs"}.get(fields["type"], fields["type"])
    if kind not in _REQUIRED:
        raise click.UsageError(f"{option}: unknown type {kind!r}; types are {', '.join(_REQUIRED)}")
    missing = [key for key in _REQUIRED[kind] if key not in fields]
    if missing:
        raise click.UsageError(f"{option} type:{kind} needs {', '.join(f'{key}:...' for key in missing)}")
    name = fields.get("name") or f"{disks.machine}-imported-volume-{len(disks.volumes)}"
    storage: Document = {}
    if "storageclass" in fields:
        storage["storageClassName"] = fields["storageclass"]
    if "accessmode" in fields:
        storage["accessModes"] = [fields["accessmode"]]
    if "volumemode" in fields:
        storage["volumeMode"] = fields["volumemode"]
    if "size" in fields:
        storage["resources"] = {"requests": {"storage": fields["size"]}}
    spec = {"storage": storage, **_source(kind, fields)}
    disks.templates.append({"metadata": {"name": name}, "spec": spec})
    order = boot_order(option, fields)
    disks.add(option, name, {"dataVolume": {"name": name}}, order, bootable=kind != "blank")


def _source(kind: str, fields: Fields) -> Document:
    if kind in ("pvc", "snapshot", "ds"):
        namespace, slash, name = fields["src"].rpartition("/")
        reference = {"name": name, **({"namespace": namespace} if slash else {})}
        if kind == "ds":
            return {"sourceRef": {"kind": "DataSource", **reference}}
        if not slash:
            raise click.UsageError(f"--volume-import type:{kind}: write src:NAMESPACE/NAME")
        return {"source": {kind: reference}}
    return {"source": {kind: {_SOURCE_FIELDS[key]: value for key, value in fields.items() if key in _SOURCE_FIELDS}}}
