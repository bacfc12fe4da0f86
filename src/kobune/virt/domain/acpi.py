"""ACPI tables of the machine's maker, from secrets: SLIC and MSDM, by which Windows knows its licence.

libvirt has an element for SLIC; MSDM is given to QEMU by its own option, as Debian 12's libvirt knows no other type.
"""

from pathlib import PurePosixPath

from kobune.virt.domain.document import Domain, DomainSource, add
from kobune.virt.domain.paths import SECRETS

__all__ = ["configure", "table_path"]


def table_path(volume: str, table: str) -> str:
    """Where the table `slic` or `msdm` is in the launcher's container: the secret's key `TABLE.bin`, as in KubeVirt."""
    return str(PurePosixPath(SECRETS, volume, f"{table}.bin"))


def configure(source: DomainSource, domain: Domain) -> None:
    """`<acpi>` in `<os>`, and QEMU's `-acpitable`. `machine` has to be configured before."""
    firmware = source.vmi.spec.domain.firmware
    tables = firmware.acpi if firmware is not None else None
    if tables is None:
        return
    if tables.slic_name_ref:
        acpi = add(domain.section("os"), "acpi")
        add(acpi, "table", table_path(tables.slic_name_ref, "slic"), type="slic")
    if tables.msdm_name_ref:
        # A comma in a value of QEMU's is written twice; a volume's name, which is a DNS label, has none.
        domain.qemu_argument("-acpitable", f"sig=MSDM,file={table_path(tables.msdm_name_ref, 'msdm')}")
