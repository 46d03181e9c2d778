"""The options that commands share, and their texts as the library takes them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from netctl.cli import State
from netctl.commands import complete
from netctl.errors import InvalidInput, NotFound, NotJoined

if TYPE_CHECKING:
    from netctl.definitions.endpoint import EndpointOptions

F = TypeVar("F", bound=Callable[..., Any])
_COMMA = r",(?!net\.)"
pass_state = click.make_pass_decorator(State)


def pairs(text: Iterable[str], option: str) -> dict[str, str]:
    """Return ``K=V`` texts as a mapping; raise ``InvalidInput`` for one without ``=``."""
    result: dict[str, str] = {}
    for item in text:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise InvalidInput(
                f"{option} {item[:60]!r} is not KEY=VALUE", hint=f"for instance {option} key=value"
            )
        if result.setdefault(key, value) != value:
            raise InvalidInput(
                f"{option} {key[:60]} is given twice, as {result[key][:60]!r} and {value[:60]!r}",
                hint="give it once",
            )
    return result


def labels(texts: Iterable[str]) -> dict[str, str]:
    """Return ``K=V`` or ``K`` texts as a mapping; of one that is given twice the last counts, as
    with docker."""
    result: dict[str, str] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if not key:
            raise InvalidInput(f"--label {text[:60]!r} has no name", hint="K or K=V")
        result[key] = value
    return result


def options(texts: Iterable[str]) -> dict[str, str]:
    """Return ``K=V[,K=V]`` texts as a mapping. What follows a comma and begins with ``net.``, as no
    option does, belongs to the value before it: libnetwork's ``endpoint.sysctls`` has commas."""
    return pairs((part for text in texts for part in re.split(_COMMA, text)), "-o")


def add_hosts(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return ``NAME:IP`` texts as pairs; an IPv6 address follows the first colon."""
    result = []
    for text in texts:
        name, colon, address = text.partition(":")
        if not colon or not address:
            raise InvalidInput(
                f"--add-host {text[:60]!r} is not NAME:IP", hint="for instance db:192.0.2.7"
            )
        result.append((name, address.removeprefix("[").removesuffix("]")))
    return tuple(result)


def aliases(texts: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Return ``NAME`` texts as names for the whole network, ``NAME:ALIAS`` texts as aliases for one
    sandbox, each with the name that it stands for."""
    everywhere: list[str] = []
    here: dict[str, str] = {}
    for text in texts:
        name, colon, alias = text.partition(":")
        if not colon:
            everywhere.append(name)
        elif here.setdefault(alias, name) != name:
            raise InvalidInput(
                f"--alias {text[:60]!r}: {alias[:60]!r} stands for {here[alias][:60]!r} already",
                hint="each alias stands for one name",
            )
    return everywhere, here


def local_aliases(texts: Iterable[str]) -> dict[str, str]:
    """Return ``NAME:ALIAS`` texts as aliases, each with the name that it stands for."""
    everywhere, here = aliases(texts)
    if everywhere:
        raise InvalidInput(
            f"--alias {everywhere[0][:60]!r} is not NAME:ALIAS",
            hint="a name for the whole network belongs to the endpoint: netctl endpoint create",
        )
    return here


def _set_dry_run(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_object(State).dry_run = True  # type: ignore[union-attr]


dry_run = click.option(
    "--dry-run",
    is_flag=True,
    expose_value=False,
    callback=_set_dry_run,
    help="Print the commands that would run, and change nothing.",
)
if_not_exists = click.option(
    "--if-not-exists", is_flag=True, help="Do nothing if it exists with the same definition."
)
label = click.option("--label", "labels", multiple=True, metavar="K[=V]", help="Set a label.")


def lease(function: F) -> F:
    """Add the options that say until when something is wanted."""
    function = click.option(
        "--owner-pid", type=int, metavar="PID", help="Expires when this process ends."
    )(function)
    return click.option(
        "--ttl", metavar="DURATION", help="Expires after 30m, 2h, 1d; then gc removes it."
    )(function)


def label_changes(function: F) -> F:
    """Add the options that set labels and take them away."""
    function = click.option(
        "--label-rm", "labels_gone", multiple=True, metavar="K", help="Remove a label."
    )(function)
    return label(function)


def terminal(function: F) -> F:
    """Add docker's options for a command on a terminal."""
    for letter, name in (("-t", "--tty"), ("-i", "--interactive")):
        function = click.option(
            letter,
            name,
            is_flag=True,
            expose_value=False,
            help="As in docker; no effect: the command always has this terminal and input.",
        )(function)
    return function


ignore_missing = click.option(
    "--ignore-missing", is_flag=True, help="Do not fail if there is nothing to remove."
)
if_not_joined = click.option(
    "--if-not-exists",
    is_flag=True,
    help="Do nothing if it is already joined with the same options.",
)

priority = click.option(
    "--priority",
    type=int,
    default=0,
    help="The highest gives the default route, unless its network is internal;"
    " -2147483648 to 2147483647.",
)
publish = click.option(
    "-p",
    "--publish",
    "ports",
    multiple=True,
    metavar="SPEC",
    help="Publish [HOSTIP:][HOSTPORT[-END]:]PORT[-END][/tcp|udp|sctp].",
)
sysctl = click.option(
    "--sysctl",
    "sysctls",
    multiple=True,
    metavar="K=V",
    help="Set a sysctl of the interface: net.ipv4.conf.IFNAME.rp_filter=2.",
)
limit_options = (
    click.option("--rate-in", metavar="RATE", help="Limit toward the sandbox, such as 10mbit."),
    click.option("--rate-out", metavar="RATE", help="Limit from the sandbox, such as 10mbit."),
    click.option("--burst", metavar="BYTES", help="Burst size in bytes  [chosen from the rate]"),
)


endpoint_aliases = click.option(
    "--alias",
    "aliases",
    multiple=True,
    metavar="NAME[:ALIAS]",
    help="Another name for it; NAME:ALIAS is another name for NAME, in this sandbox only.",
)
_ENDPOINT = (
    click.option("--ip", metavar="IP", help="IPv4 address, in the network's subnet."),
    click.option("--ip6", metavar="IP", help="IPv6 address, in the network's subnet."),
    click.option("--mac", metavar="MAC", help="MAC address."),
    click.option(
        "--ifname", metavar="NAME", help="Interface name in the sandbox, at most 15 bytes."
    ),
    click.option(
        "-o",
        "--opt",
        "opts",
        multiple=True,
        metavar="K=V[,K=V]",
        shell_complete=complete.endpoint_options,
        help="Same as --ifname and --sysctl: endpoint.ifname=NAME, endpoint.sysctls=K=V[,K=V].",
    ),
    publish,
    click.option(
        "--expose",
        "exposed",
        multiple=True,
        metavar="PORT[/PROTO]",
        help="Document a port; nothing is opened.",
    ),
    click.option("--anonymous", is_flag=True, help="Hide its name; only its aliases resolve."),
    click.option("--no-dns", is_flag=True, help="Give its sandbox no name server."),
    sysctl,
    click.option(
        "--route",
        "routes",
        multiple=True,
        metavar="DST[,GW][,METRIC]",
        help="Static route; GW may be blackhole, unreachable or prohibit.",
    ),
    click.option(
        "--no-default-route", is_flag=True, help="Never give the sandbox its default route."
    ),
    *limit_options,
)


def endpoint_details(function: F) -> F:
    """Add the options that say what an endpoint is like, but for its labels."""
    for option in reversed(_ENDPOINT):
        function = option(function)
    return function


def endpoint_options(function: F) -> F:
    """Add the options that say what an endpoint is like: see ``endpoint_definition``."""
    return endpoint_details(label(function))


def endpoint_definition(given: dict[str, Any], aliases: Sequence[str]) -> EndpointOptions:
    """Return these options as the library takes them."""
    return {
        "aliases": aliases,
        "anonymous": given["anonymous"],
        "no_dns": given["no_dns"],
        "exposed": given["exposed"],
        "ip": given["ip"],
        "ip6": given["ip6"],
        "mac": given["mac"],
        "ifname": given["ifname"],
        "options": options(given["opts"]),
        "labels": labels(given["labels"]),
        "ports": given["ports"],
        "sysctls": pairs(given["sysctls"], "--sysctl"),
        "routes": given["routes"],
        "no_default_route": given["no_default_route"],
        "rate_in": given["rate_in"],
        "rate_out": given["rate_out"],
        "burst": given["burst"],
    }


def missing_ignored(ignored: bool) -> contextlib.AbstractContextManager[None]:
    """Return a block in which it is no error, where that is wanted, that something is not there or
    not joined."""
    return contextlib.suppress(*([NotFound, NotJoined] if ignored else []))


def check_change(*given: object, hint: str = "--label K=V or --label-rm K") -> None:
    """Raise ``InvalidInput`` where nothing is to be changed."""
    if not any(given):
        raise InvalidInput("nothing to change is given", hint=hint)


def exists(find: Callable[[], object]) -> int:
    """Return the exit status of an ``exists``."""
    try:
        find()
    except NotFound as error:
        return error.exit_code
    return 0
