"""Files that a guest's firmware is given: looked at before QEMU is, so that what is wrong is told with its field."""

from typing import Final

from kobune.api.kubevirt.instance import VirtualMachineInstance
from kobune.virt.domain.document import InvalidSpec
from kobune.virt.launcher.places import Places

__all__ = ["check_tables"]

HEADER_BYTES: Final = 36
"""Every ACPI table begins with a header of this size; its first word is what QEMU looks at the file for."""


def check_tables(vmi: VirtualMachineInstance, places: Places) -> None:
    """That the secrets of `firmware.acpi` have their tables. Raises InvalidSpec."""
    firmware = vmi.spec.domain.firmware
    acpi = firmware.acpi if firmware is not None else None
    if acpi is None:
        return
    for name, volume, table in (
        ("slicNameRef", acpi.slic_name_ref, "slic"),
        ("msdmNameRef", acpi.msdm_name_ref, "msdm"),
    ):
        if not volume:
            continue
        field = f"spec.domain.firmware.acpi.{name}"
        try:
            size = (places.private / "secret" / volume / f"{table}.bin").stat().st_size
        except OSError as error:
            raise InvalidSpec(field, f"the secret of volume {volume!r} has no key {table}.bin") from error
        if size < HEADER_BYTES:
            raise InvalidSpec(field, f"{table}.bin of volume {volume!r} is no ACPI table: it has {size} bytes")
