"""What differs between kinds: which fields a client may set when, what the server fills in.

`strategy_for(info)` gives the strategy of a resource. All are pure but for the parts of `Services` they name.
"""

from kobune.embedded.apiserver.schema.resource import ResourceInfo
from kobune.embedded.apiserver.strategy.base import Strategy
from kobune.embedded.apiserver.strategy.builtin import BUILTIN
from kobune.embedded.apiserver.strategy.custom import CustomStrategy

__all__ = ["Strategy", "strategy_for"]

_CUSTOM = CustomStrategy()
_DEFAULT = Strategy()


def strategy_for(info: ResourceInfo) -> Strategy:
    """The strategy of a resource."""
    if info.custom:
        return _CUSTOM
    return BUILTIN.get((info.group, info.plural), _DEFAULT)
