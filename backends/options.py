"""Driver options: ``KEY=VALUE`` with libnetwork's labels, or their short form."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from netctl.errors import InvalidInput
from netctl.record import Record

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

PREFIX = "com.docker.network."
_TRUE = frozenset({"1", "t", "true", "yes", "on"})
_FALSE = frozenset({"0", "f", "false", "no", "off"})
"""What ``driver_options`` say in YAML, and libnetwork's labels."""


class Option(Record):
    """What people are told of an option."""

    form: str
    """What its value looks like: ``true|false``, ``IP``, ``68-65535``."""
    help: str
    default: str = ""
    """In words, what holds where it is not given; empty for nothing."""

    @property
    def words(self) -> list[str]:
        """Return the values that there are, where the form names them all."""
        return self.form.split("|") if self.form.replace("|", "").replace("-", "").islower() else []


def switch(help: str, *, default: bool) -> Option:
    """Return an option that ``boolean`` reads."""
    return Option(form="true|false", help=help, default="true" if default else "false")


def full_label(key: str) -> str:
    """Return the full label: ``driver.mtu`` stands for ``com.docker.network.driver.mtu``."""
    return key if key.startswith(PREFIX) else PREFIX + key


def label_of(key: str, known: Collection[str]) -> str:
    """Return the full label: ``mtu`` stands for the one ``known`` label that ends with that word.

    Raises ``InvalidInput`` where several do.
    """
    label = full_label(key)
    if label in known or "." in key:
        return label
    ending = [each for each in known if each.rpartition(".")[2] == key]
    if len(ending) > 1:
        shown = ", ".join(sorted(each.removeprefix(PREFIX) for each in ending))
        raise InvalidInput(f"option {key[:60]!r} is ambiguous: {shown}", hint="give one of them")
    return ending[0] if ending else label


def full_labels(options: Mapping[str, str], known: Collection[str] = ()) -> dict[str, str]:
    """Return the options by full label; raise ``InvalidInput`` for one without a value, or two.

    The last word of a ``known`` label does as well, where no other ends so.
    """
    result: dict[str, str] = {}
    for key, value in options.items():
        label = label_of(key, known)
        if not value:
            raise InvalidInput(f"option {key[:60]} is empty", hint="leave it out, or give a value")
        if result.setdefault(label, value) != value:
            raise InvalidInput(
                f"option {label} is given twice, as {result[label][:60]!r} and {value[:60]!r}",
                hint="its short form is the same option: give it once",
            )
    return result


def normalise(
    driver: str, options: Mapping[str, str], known: Mapping[str, object]
) -> dict[str, str]:
    """Return the options by full label; raise ``InvalidInput`` for one that ``known`` lacks."""
    result = full_labels(options, known)
    for label in result:
        if label not in known:
            shown = label.removeprefix(PREFIX)
            raise InvalidInput(f"driver {driver} has no option {shown!r}", hint=_known_hint(known))
    return result


def _known_hint(known: Mapping[str, object]) -> str:
    if not known:
        return "this driver takes no options"
    return "known options: " + ", ".join(sorted(label.removeprefix(PREFIX) for label in known))


def boolean(options: Mapping[str, str], label: str, *, default: bool) -> bool:
    """Return a yes-or-no option's value."""
    text = options.get(label)
    if text is None:
        return default
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise InvalidInput(f"option {label}: {text!r} is not a boolean", hint="use true or false")


def integer(options: Mapping[str, str], label: str, *, default: int, low: int, high: int) -> int:
    """Return a number option's value, between ``low`` and ``high``."""
    text = options.get(label)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and low <= int(text[:12]) <= high:
        return int(text)
    raise InvalidInput(
        f"option {label}: {text[:40]!r} is not a number from {low} to {high}",
        hint=f"give one, or leave the option out for {default}",
    )


def address(options: Mapping[str, str], label: str, version: int) -> str:
    """Return an address option's value in its shortest form, ``""`` where it is not given."""
    from ipaddress import ip_address

    text = options.get(label)
    if text is None:
        return ""
    try:
        value = ip_address(text)
    except ValueError:
        raise InvalidInput(
            f"option {label}: {text[:60]!r} is not an IP address",
            hint="for instance " + ("192.0.2.7" if version == 4 else "2001:db8::7"),
        ) from None
    nobodys = value.is_unspecified or value.is_loopback or is_nobodys(value)
    if value.version != version or nobodys or "%" in text:
        raise InvalidInput(
            f"option {label}: {text!r} is not an IPv{version} address of a host",
            hint="one of that family, without a zone, and not of the loopback",
        )
    return str(value)


def is_nobodys(address: IPv4Address | IPv6Address) -> bool:
    """Whether no host has the address, or none without a zone."""
    if address.version == 4:
        return address.is_multicast or str(address) == "255.255.255.255"
    return address.is_multicast or address.is_link_local or address.ipv4_mapped is not None
