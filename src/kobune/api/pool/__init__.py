"""pool.kubevirt.io/v1beta1: pools of equal virtual machines."""

from kobune.api.pool.types import (
    VirtualMachineOpportunisticUpdateStrategy,
    VirtualMachinePool,
    VirtualMachinePoolAutohealingStrategy,
    VirtualMachinePoolCondition,
    VirtualMachinePoolNameGeneration,
    VirtualMachinePoolOpportunisticScaleInStrategy,
    VirtualMachinePoolProactiveScaleInStrategy,
    VirtualMachinePoolProactiveUpdateStrategy,
    VirtualMachinePoolScaleInStrategy,
    VirtualMachinePoolSelectionPolicy,
    VirtualMachinePoolSelectors,
    VirtualMachinePoolSpec,
    VirtualMachinePoolStatus,
    VirtualMachinePoolUnmanagedStrategy,
    VirtualMachinePoolUpdateStrategy,
    VirtualMachineTemplateSpec,
)

__all__ = [
    "VirtualMachineOpportunisticUpdateStrategy",
    "VirtualMachinePool",
    "VirtualMachinePoolAutohealingStrategy",
    "VirtualMachinePoolCondition",
    "VirtualMachinePoolNameGeneration",
    "VirtualMachinePoolOpportunisticScaleInStrategy",
    "VirtualMachinePoolProactiveScaleInStrategy",
    "VirtualMachinePoolProactiveUpdateStrategy",
    "VirtualMachinePoolScaleInStrategy",
    "VirtualMachinePoolSelectionPolicy",
    "VirtualMachinePoolSelectors",
    "VirtualMachinePoolSpec",
    "VirtualMachinePoolStatus",
    "VirtualMachinePoolUnmanagedStrategy",
    "VirtualMachinePoolUpdateStrategy",
    "VirtualMachineTemplateSpec",
]
