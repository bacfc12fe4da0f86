"""addvolume and removevolume: pure plans from what an object is to the lists of volumes and disks that it gets.

Source: KubeVirt's rules and messages. On a machine the change is made in its template, and virt-controller brings it to
the running instance; on an instance it lasts as long as the instance.
"""

from typing import Any, Final

from kobune.api.kubevirt import AddVolumeOptions, RemoveVolumeOptions
from kobune.virt.admission.review import Problem
from kobune.virt.admission.subresources.failure import Failure, bad_request, conflict
from kobune.virt.admission.subresources.power import decode_options
from kobune.virt.admission.validation.hotplug import check_plugged_disk
from kobune.virt.domain.hotplug import EPHEMERAL_VOLUMES, ephemeral_volumes

__all__ = ["add_volume", "check_add_volume", "check_remove_volume", "ephemeral_annotations", "remove_volume"]

Document = dict[str, Any]
_SOURCES: Final = (("dataVolume", "name"), ("persistentVolumeClaim", "claimName"))
DEFAULT_BUS: Final = "scsi"


def check_add_volume(body: bytes) -> Document:
    """The options as decoded JSON; raises Failure naming what is missing."""
    raw: Document = decode_options(body, dict)
    if not raw.get("name"):
        raise bad_request("AddVolumeOptions requires name to be set")
    if raw.get("disk") is None:
        raise bad_request("AddVolumeOptions requires disk to not be nil")
    if raw.get("volumeSource") is None:
        raise bad_request("AddVolumeOptions requires VolumeSource to not be nil")
    decode_options(body, AddVolumeOptions)
    return raw


def check_remove_volume(body: bytes) -> str:
    """The volume's name; raises Failure when there is none."""
    raw: Document = decode_options(body, dict)
    if not raw.get("name"):
        raise bad_request("RemoveVolumeOptions requires name to be set")
    options: RemoveVolumeOptions = decode_options(body, RemoveVolumeOptions)
    return options.name


def add_volume(kind: str, object_name: str, spec: Document, options: Document) -> Document:
    """A merge patch of an instance's specification; raises Failure. `kind` is in lower case."""
    name = options["name"]
    source = {key: dict(value) for key, value in options["volumeSource"].items() if value is not None}
    named = next((source[key].get(field) for key, field in _SOURCES if key in source), None)
    if not named:
        raise bad_request("AddVolumeOptions requires VolumeSource to name a dataVolume or a persistentVolumeClaim")
    for volume in spec.get("volumes") or ():
        if volume["name"] == name:
            why = f"Unable to add volume [{name}] because volume with that name already exists"
            raise conflict(kind, object_name, why)
        if named in _names_of(volume):
            raise conflict(kind, object_name, f"Unable to add volume source [{named}] because it already exists")
    for key, _ in _SOURCES:
        if key in source:
            source[key]["hotpluggable"] = True
    disk = {**options["disk"], "name": name}
    if isinstance(disk.get("disk"), dict) and not disk["disk"].get("bus"):
        disk["disk"] = {**disk["disk"], "bus": DEFAULT_BUS}
    if wrong := check_plugged_disk(disk, name, "AddVolume request"):
        raise _invalid(wrong)
    return _lists([*_volumes(spec), {"name": name, **source}], [*_disks(spec), disk])


def remove_volume(kind: str, object_name: str, spec: Document, name: str) -> Document:
    """A merge patch of an instance's specification; raises Failure. The volume may be named by its claim."""
    found = next((v for v in _volumes(spec) if v["name"] == name or name in _names_of(v)), None)
    if found is None:
        raise conflict(kind, object_name, f"Unable to remove volume [{name}] because it does not exist")
    if not any((found.get(key) or {}).get("hotpluggable") for key, _ in _SOURCES):
        why = f"Unable to remove volume [{found['name']}] because it is not hotpluggable"
        raise conflict(kind, object_name, why)
    return _lists(
        [volume for volume in _volumes(spec) if volume["name"] != found["name"]],
        [disk for disk in _disks(spec) if disk["name"] != found["name"]],
    )


def ephemeral_annotations(metadata: Document, before: Document, after: Document) -> Document:
    """What an instance's annotation says of volumes that no machine knows, after a change from `before` to `after`."""
    was, now = ({volume["name"] for volume in _volumes(spec)} for spec in (before, after))
    names = (ephemeral_volumes(metadata.get("annotations") or {}) | (now - was)) & now
    return {EPHEMERAL_VOLUMES: ",".join(sorted(names)) or None}


def _names_of(volume: Document) -> list[str]:
    """The claims and DataVolumes that a volume names."""
    return [volume[key].get(field) for key, field in _SOURCES if volume.get(key)]


def _volumes(spec: Document) -> list[Document]:
    return list(spec.get("volumes") or ())


def _disks(spec: Document) -> list[Document]:
    return list(((spec.get("domain") or {}).get("devices") or {}).get("disks") or ())


def _lists(volumes: list[Document], disks: list[Document]) -> Document:
    return {"volumes": volumes, "domain": {"devices": {"disks": disks}}}


def _invalid(problems: list[Problem]) -> Failure:
    return Failure(422, "Invalid", ", ".join(problem.message for problem in problems))
