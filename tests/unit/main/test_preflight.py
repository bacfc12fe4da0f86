"""What is missing is said before anything is changed, with the way to get it."""

import socket
from pathlib import Path

import pytest

from kobune.main.preflight import PreflightError, check_port, check_subnets, choose_ports
from kobune.main.settings import Settings


def test_a_port_in_use_names_the_option() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PreflightError, match=rf"--listen 127.0.0.1:{port} is in use; choose another"):
            check_port("127.0.0.1", port)


def test_the_usual_ports_give_way_and_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kobune.main.preflight.default_data_dir", lambda: tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        settings = choose_ports(Settings(tmp_path, virt_api_port=taken))
        assert settings.virt_api_port != taken
    assert choose_ports(Settings(tmp_path, virt_api_port=taken)).virt_api_port == settings.virt_api_port


def test_another_instance_leaves_the_usual_ports_alone(tmp_path: Path) -> None:
    settings = Settings(tmp_path)
    assert choose_ports(settings).kubelet_port != settings.kubelet_port


def test_an_unreadable_record_of_ports_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("{")
    assert choose_ports(Settings(tmp_path)).virt_api_port > 0


@pytest.mark.parametrize(
    "subnet",
    [
        *("10.42.0.1/24", "10.42.0.0/33", "fd00::/64", "pods", "10.42.0.0/24,", "fd42::/64,10.42.0.0/24"),
        *("10.42.0.0/24,fd42::1/64", "10.42.0.0/24,fd42::/32", "10.42.0.0/24,fd42::/126", "10.42.0.0/24,10.43.0.0/24"),
    ],
)
def test_what_is_no_network_is_refused(subnet: str) -> None:
    with pytest.raises(PreflightError, match="--pod-subnet"):
        check_subnets(subnet, "kobune0")


def test_a_subnet_of_another_interface_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    routes = tmp_path / "route"
    header = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    routes.write_text(header + "br0\t00002A0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n")
    monkeypatch.setattr("kobune.main.preflight.ROUTES", routes)
    check_subnets("10.42.0.0/24", "br0")
    check_subnets("10.43.0.0/24", "kobune0")
    with pytest.raises(PreflightError, match=r"overlaps 10\.42\.0\.0/24 of interface br0"):
        check_subnets("10.42.0.0/16", "kobune0")


def test_an_ipv6_subnet_of_another_interface_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    routes = tmp_path / "route6"
    zero = "0" * 32
    lines = [("fd42" + "0" * 28, "40", "br0"), (zero, "00", "eth0"), ("fd43" + "0" * 28, "40", "lo")]
    routes.write_text(
        "".join(
            f"{net} {length} {zero} 00 {zero} 00000100 00000001 00000000 00000001 {dev:>8}\n"
            for net, length, dev in lines
        )
    )
    monkeypatch.setattr("kobune.main.preflight.ROUTES6", routes)
    no_routes = tmp_path / "route"
    no_routes.write_text("Iface\n")
    monkeypatch.setattr("kobune.main.preflight.ROUTES", no_routes)
    check_subnets("10.142.0.0/24,fd42::/64", "br0")
    check_subnets("10.142.0.0/24,fd43::/64", "kobune0")
    with pytest.raises(PreflightError, match=r"fd42::/80 overlaps fd42::/64 of interface br0"):
        check_subnets("10.142.0.0/24,fd42::/80", "kobune0")
