"""The pod network's configuration, as the CNI plugins get it."""

from kobune.host.cni import BridgeNetwork, conflist


def ipam(network: BridgeNetwork) -> dict[str, object]:
    found: dict[str, object] = conflist(network)["plugins"][0]["ipam"]
    return found


def test_pods_get_an_address_of_the_subnet_and_a_default_route() -> None:
    found = ipam(BridgeNetwork(subnet="10.9.0.0/24"))
    assert found["ranges"] == [[{"subnet": "10.9.0.0/24", "gateway": "10.9.0.1"}]]
    assert found["routes"] == [{"dst": "0.0.0.0/0"}]


def test_with_a_second_subnet_pods_get_one_address_of_each() -> None:
    network = BridgeNetwork(subnet="10.9.0.0/24", subnet6="fd42::/64")
    found = ipam(network)
    assert found["ranges"] == [
        [{"subnet": "10.9.0.0/24", "gateway": "10.9.0.1"}],
        [{"subnet": "fd42::/64", "gateway": "fd42::1"}],
    ]
    assert found["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    assert network.gateway_addresses == ("10.9.0.1/24", "fd42::1/64")
