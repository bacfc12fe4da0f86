"""Removes what the CNI plugins leave in the machine's nat table, of one sandbox or of a whole network.

The bridge plugin finds a sandbox's masquerade rules by the addresses of its interface: of an interface that has none
any more (a bridge binding gives them to the guest) or that is gone, it leaves the rules for ever and reports success.

The plugins write their network's name and the sandbox's id into a comment of each rule. Must not touch a rule that does
not have them.
"""

import re
import shlex

from kobune.host.run import CommandNotFound, Runner

__all__ = ["left_rules", "remove_left_rules", "rule_owners"]

_PROGRAMS = ("iptables", "ip6tables")
_TABLE = ("-w", "5", "-t", "nat")
# Chains that the plugins of all networks share.
_SHARED = "CNI-HOSTPORT-"


def left_rules(listing: str, network: str, sandbox_id: str = "") -> list[list[str]]:
    """Arguments of iptables, one list per call, that remove a network's rules; `listing` is of `-S`. Pure.

    With `sandbox_id`, those of that sandbox alone.
    """
    mark = f'name: "{network}" id: "' + (f'{sandbox_id}"' if sandbox_id else "")
    rules = [shlex.split(line) for line in listing.splitlines() if line.startswith("-A ")]
    own = [rule for rule in rules if any(mark in word for word in rule)]
    chains = dict.fromkeys(rule[-1] for rule in own if rule[-2] == "-j" and _is_own_chain(rule[-1]))
    calls = [["-D", *rule[1:]] for rule in own if rule[1] not in chains]
    calls += [["-F", chain] for chain in chains]
    return calls + [["-X", chain] for chain in chains]


def _is_own_chain(name: str) -> bool:
    return name.startswith("CNI-") and not name.startswith(_SHARED)


async def remove_left_rules(runner: Runner, network: str, sandbox_id: str = "") -> None:
    """Remove what `network`, or one sandbox in it, has in the nat tables; nothing to do is no error.

    Repeatable. Raises CommandError.
    """
    for program in _PROGRAMS:
        for call in left_rules(await _listing(runner, program), network, sandbox_id):
            await runner.run([program, *_TABLE, *call], timeout_s=15)


async def rule_owners(runner: Runner, network: str) -> frozenset[str]:
    """Ids of the sandboxes that have rules in `network`. Raises CommandError."""
    mark = re.compile(rf'name: \\"{re.escape(network)}\\" id: \\"([^"\\]+)\\"')
    listings = [await _listing(runner, program) for program in _PROGRAMS]
    return frozenset(owner for listing in listings for owner in mark.findall(listing))


async def _listing(runner: Runner, program: str) -> str:
    try:
        return (await runner.run([program, *_TABLE, "-S"], timeout_s=15)).text
    except CommandNotFound:
        # Then the plugins could not have written any.
        return ""
