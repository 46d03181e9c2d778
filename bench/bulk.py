"""``bulk.py make|remove COUNT``: sandboxes, each with an endpoint in it, by the library."""

from __future__ import annotations

import sys

import netctl


def make(controller: netctl.Controller, count: int) -> None:
    network = controller.networks.create("bulk", subnets=["10.200.0.0/16"])
    for index in range(count):
        sandbox = controller.sandboxes.create(f"bulk{index}")
        network.endpoints.create(f"bulk{index}").join(sandbox)


def remove(controller: netctl.Controller, count: int) -> None:
    names = [f"bulk{index}" for index in range(count)]
    controller.sandboxes.remove_each(names, _check, force=True)
    controller.networks.remove("bulk", force=True)


def _check(name: str, error: netctl.NetctlError | None) -> None:
    if error:
        raise error


def main(action: str, count: int) -> None:
    with netctl.Controller() as controller, controller.batch():
        {"make": make, "remove": remove}[action](controller, count)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
