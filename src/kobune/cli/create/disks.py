"""Volumes of a machine to be created: what each volume flag adds to the manifest. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import click

from kobune.cli.create.fields import Fields, boot_order, check_label, check_quantity, parse_fields, random_suffix

__all__ = ["Disks", "add_claim", "add_container_disk", "add_import", "add_sysprep"]

Document = dict[str, Any]

# What each kind of source needs besides its type; everything else of _IMPORT_KEYS is optional where it means something.
_REQUIRED: Final = {
    "blank": ("size",),
    "http": ("url", "size"),
    "s3": ("url", "size"),
    "gcs": ("url", "size"),
    "registry": ("size",),
    "imageio": ("url", "diskid", "size"),
    "vddk": ("url", "uuid", "thumbprint", "backingfile", "secretref", "size"),
    "pvc": ("src",),
    "snapshot": ("src",),
    "ds": ("src",),
}
_IMPORT_KEYS: Final = (
    "type", "src", "url", "size", "name", "bootorder", "storageclass", "accessmode", "volumemode", "secretref",
    "certconfigmap", "pullmethod", "imagestream", "diskid", "uuid", "thumbprint", "backingfile", "initimageurl",
    "extraheaders", "secretextraheaders",
)  # fmt: skip
_SOURCE_FIELDS: Final = {
    "url": "url",
    "secretref": "secretRef",
    "certconfigmap": "certConfigMap",
    "pullmethod": "pullMethod",
    "imagestream": "imageStream",
    "diskid": "diskId",
    "uuid": "uuid",
    "thumbprint": "thumbprint",
    "backingfile": "backingFile",
    "initimageurl": "initImageURL",
    "extraheaders": "extraHeaders",
    "secretextraheaders": "secretExtraHeaders",
}
_LISTS: Final = ("extraheaders", "secretextraheaders")
_LABELLED: Final = ("pvc", "snapshot", "registry", "ds")
"""Sources whose labels may name an instancetype and a preference."""


@dataclass
class Disks:
    """The lists of a manifest as they grow."""

    machine: str
    suffix: Callable[[], str] = random_suffix
    volumes: list[Document] = field(default_factory=list)
    disks: list[Document] = field(default_factory=list)
    templates: list[Document] = field(default_factory=list)
    _labelled: set[str] = field(default_factory=set)

    def add(self, option: str, name: str, source: Document, order: int | None, *, labelled: bool = False) -> None:
        """A volume, and a disk only where the boot order needs one: admission adds the others."""
        check_label(option, name)
        if any(volume["name"] == name for volume in self.volumes):
            raise click.UsageError(f"{option}: there is already a volume named {name!r}; choose another name:...")
        if order is not None:
            if any(disk.get("bootOrder") == order for disk in self.disks):
                raise click.UsageError(f"{option}: bootorder {order} is given twice")
            self.disks.append({"name": name, "bootOrder": order, "disk": {}})
        self.volumes.append({"name": name, **source})
        if labelled:
            self._labelled.add(name)

    def prefer_virtio(self) -> None:
        """Name the fastest bus for every disk: without a preference the server's default would be SATA."""
        named = {disk["name"]: disk for disk in self.disks}
        plain = [named.get(volume["name"]) or {"name": volume["name"], "disk": {}} for volume in self.volumes]
        self.disks = [{**disk, "disk": {"bus": "virtio"}} if "disk" in disk else disk for disk in plain]

    def to_infer_from(self, option: str, volume: str = "") -> str:
        """The volume whose labels name an instancetype or a preference: `volume`, or the first one that is booted.

        Raises UsageError when there is none, or when its source has no labels.
        """
        ordered = sorted((disk["bootOrder"], disk["name"]) for disk in self.disks if "bootOrder" in disk)
        name = volume or (ordered[0][1] if ordered else self.volumes[0]["name"] if self.volumes else "")
        if not name:
            raise click.UsageError(f"{option} needs a volume to infer from: add --volume-import or --volume-pvc")
        if all(name != found["name"] for found in self.volumes):
            there = ", ".join(found["name"] for found in self.volumes) or "none"
            raise click.UsageError(f"{option}: there is no volume {name!r}; volumes are {there}")
        if name not in self._labelled:
            raise click.UsageError(
                f"{option}: nothing can be inferred from volume {name!r}: only from claims, and from imports of type "
                f"{', '.join(_LABELLED)}"
            )
        return name


def add_container_disk(disks: Disks, number: int, text: str) -> None:
    """`src:IMAGE[,name:NAME][,bootorder:N]`, the `number`th from 0; the image's name may hold colons."""
    option = "--volume-containerdisk"
    fields = parse_fields(option, text, ("src", "name", "bootorder"), ("src",))
    name = fields.get("name") or f"{disks.machine}-containerdisk-{number}"
    disks.add(option, name, {"containerDisk": {"image": fields["src"]}}, boot_order(option, fields))


def add_claim(disks: Disks, text: str) -> None:
    """`src:NAME[,name:NAME][,bootorder:N]`: a claim of the machine's namespace, used as it is."""
    option = "--volume-pvc"
    fields = parse_fields(option, text, ("src", "name", "bootorder"), ("src",))
    if "/" in fields["src"]:
        raise click.UsageError(f"{option}: a claim is of the machine's namespace: write src:NAME, not {fields['src']}")
    source = {"persistentVolumeClaim": {"claimName": fields["src"]}}
    disks.add(option, fields.get("name") or fields["src"], source, boot_order(option, fields), labelled=True)


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
    name = fields.get("name") or f"imported-volume-{disks.suffix()}"
    storage: Document = {}
    if "storageclass" in fields:
        storage["storageClassName"] = fields["storageclass"]
    if "accessmode" in fields:
        storage["accessModes"] = [fields["accessmode"]]
    if "volumemode" in fields:
        storage["volumeMode"] = fields["volumemode"]
    if "size" in fields:
        storage["resources"] = {"requests": {"storage": check_quantity(f"{option}: size", fields["size"])}}
    spec = {"storage": storage, **_source(kind, fields)}
    order = boot_order(option, fields)
    disks.add(option, name, {"dataVolume": {"name": name}}, order, labelled=kind in _LABELLED)
    disks.templates.append({"metadata": {"name": name}, "spec": spec})


def _source(kind: str, fields: Fields) -> Document:
    option = f"--volume-import type:{kind}"
    if kind in ("pvc", "snapshot", "ds"):
        namespace, slash, name = fields["src"].rpartition("/")
        reference = {"name": name, **({"namespace": namespace} if slash else {})}
        if kind == "ds":
            return {"sourceRef": {"kind": "DataSource", **reference}}
        if not slash:
            raise click.UsageError(f"{option}: write src:NAMESPACE/NAME")
        return {"source": {kind: reference}}
    if kind == "registry":
        if ("url" in fields) == ("imagestream" in fields):
            raise click.UsageError(f"{option} needs either url:... or imagestream:...")
        if fields.get("pullmethod", "pod") not in ("pod", "node"):
            raise click.UsageError(f"{option}: pullmethod is pod or node, not {fields['pullmethod']!r}")
    source = {
        _SOURCE_FIELDS[key]: value.split(";") if key in _LISTS else value
        for key, value in fields.items()
        if key in _SOURCE_FIELDS
    }
    return {"source": {kind: source}}
