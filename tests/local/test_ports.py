import socket
from pathlib import Path

from atoll.local.ports import LOOPBACK, free_ports


def test_ports_are_different_free_and_none_that_the_kernel_gives_to_others() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        assert port < lowest or lowest < 11_000
        with socket.socket() as free:
            free.bind((LOOPBACK, port))
