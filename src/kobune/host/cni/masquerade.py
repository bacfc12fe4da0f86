"""Removes what the CNI plugins left in the machine's nat table when nobody could ask them to: a lost sandbox.

The plugins write their network's name into a comment of each rule. Must not touch a rule that does not have it.
"""

import shlex

from kobune.host.run import CommandNotFound, Runner

__all__ = ["left_rules", "remove_left_rules"]

_PROGRAMS = ("iptables", "ip6tables")
_TABLE = ("-w", "5", "-t", "nat")
# Chains that the plugins of all networks share.
_SHARED = "CNI-HOSTPORT-"


def left_rules(listing: str, network: str) -> list[list[str]]:
    """Arguments of iptables, one list per call, that remove a network's rules; `listing` is of `-S`. Pure."""
    mark = f'name: "{network}" id: '
    rules = [shlex.split(line) for line in listing.splitlines() if line.startswith("-A ")]
    own = [rule for rule in rules if any(mark in word for word in rule)]
    chains = dict.fromkeys(rule[-1] for rule in own if rule[-2] == "-j" and _is_own_chain(rule[-1]))
    calls = [["-D", *rule[1:]] for rule in own if rule[1] not in chains]
    calls += [["-F", chain] for chain in chains]
    return calls + [["-X", chain] for chain in chains]


def _is_own_chain(name: str) -> bool:
    return name.startswith("CNI-") and not name.startswith(_SHARED)


async def remove_left_rules(runner: Runner, network: str) -> None:
    """Remove what `network` has in the nat table; nothing to do is no error. Raises CommandError."""
    for program in _PROGRAMS:
        try:
            listing = await runner.run([program, *_TABLE, "-S"], timeout_s=15)
        except CommandNotFound:
            # Then the plugins could not have written any.
            continue
        for call in left_rules(listing.text, network):
            await runner.run([program, *_TABLE, *call], timeout_s=15)
