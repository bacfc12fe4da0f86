"""Guest networks that exist in memory only."""

from kobune.api.kubevirt import VirtualMachineInstance
from kobune.virt.domain.facts import InterfaceFacts

__all__ = ["FakeNetworks"]


class FakeNetworks:
    """Keeps `GuestNetworks`: `ready` has the pods with a network, `fail_next` is raised once by `ensure`."""

    def __init__(self) -> None:
        self.ready: dict[str, list[InterfaceFacts]] = {}
        self.calls = 0
        self.pruned: list[str] = []
        self.fail_next: Exception | None = None

    async def ensure(
        self, pod_uid: str, pid: int, vmi: VirtualMachineInstance, *, partly: bool = False
    ) -> list[InterfaceFacts]:
        """See `GuestNetworks.ensure`; the pod has all interfaces."""
        self.calls += 1
        if self.fail_next is not None:
            error, self.fail_next = self.fail_next, None
            raise error
        self.ready[pod_uid] = [
            InterfaceFacts(name=interface.name, tap=f"tap{number}", mac=f"02:00:00:00:00:{number:02x}")
            for number, interface in enumerate(vmi.spec.domain.devices.interfaces)
            if interface.state != "absent"
        ]
        return self.ready[pod_uid]

    async def prune(self, pod_uid: str, pid: int, vmi: VirtualMachineInstance) -> None:
        """See `GuestNetworks.prune`."""
        self.pruned.append(pod_uid)

    async def release(self, pod_uid: str) -> None:
        """See `GuestNetworks.release`."""
        self.ready.pop(pod_uid, None)

    async def known(self) -> frozenset[str]:
        """See `GuestNetworks.known`."""
        return frozenset(self.ready)
