"""What is removed from the nat table, and what of others stays."""

from kobune.host.cni import left_rules, remove_left_rules, rule_owners
from kobune.host.run.fake import FakeRunner

LISTING = r"""
-P POSTROUTING ACCEPT
-N CNI-aaaa
-N CNI-bbbb
-N CNI-DN-cccc
-N CNI-HOSTPORT-DNAT
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -s 10.1.0.3/32 -m comment --comment "name: \"mine\" id: \"one\"" -j CNI-aaaa
-A POSTROUTING -s 10.2.0.3/32 -m comment --comment "name: \"mine-too\" id: \"two\"" -j CNI-bbbb
-A CNI-aaaa -d 10.1.0.0/24 -m comment --comment "name: \"mine\" id: \"one\"" -j ACCEPT
-A CNI-aaaa ! -d 224.0.0.0/4 -m comment --comment "name: \"mine\" id: \"one\"" -j MASQUERADE
-A CNI-DN-cccc -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.1.0.3:80
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"mine\" id: \"one\"" -j CNI-DN-cccc
"""


def test_a_network_s_rules_and_chains_are_removed_and_no_others() -> None:
    assert left_rules(LISTING, "mine") == [
        [
            "-D",
            "POSTROUTING",
            "-s",
            "10.1.0.3/32",
            "-m",
            "comment",
            "--comment",
            'name: "mine" id: "one"',
            "-j",
            "CNI-aaaa",
        ],
        [
            *("-D", "CNI-HOSTPORT-DNAT", "-p", "tcp", "-m", "comment", "--comment", 'dnat name: "mine" id: "one"'),
            *("-j", "CNI-DN-cccc"),
        ],
        ["-F", "CNI-aaaa"],
        ["-F", "CNI-DN-cccc"],
        ["-X", "CNI-aaaa"],
        ["-X", "CNI-DN-cccc"],
    ]


def test_of_one_sandbox_alone() -> None:
    assert left_rules(LISTING, "mine", "one") == left_rules(LISTING, "mine")
    assert left_rules(LISTING, "mine", "on") == []


async def test_the_sandboxes_that_have_rules_are_named() -> None:
    runner = FakeRunner()
    runner.on("iptables", stdout=LISTING.encode())
    assert await rule_owners(runner, "mine") == {"one"}
    assert await rule_owners(runner, "mine-too") == {"two"}
    assert await rule_owners(runner, "min.") == frozenset()


async def test_a_machine_without_iptables_has_none() -> None:
    assert await rule_owners(FakeRunner(), "mine") == frozenset()
    await remove_left_rules(FakeRunner(), "mine")


def test_a_table_without_them_is_left_alone() -> None:
    assert left_rules(LISTING, "other") == []
    assert left_rules("", "mine") == []
