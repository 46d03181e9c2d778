"""The configuration: option before environment, before ``netctl.yaml``, before default.

Every value knows where it came from. A key that is not known, or a value that is not allowed, is
``BadConfig`` with file and line: nothing is guessed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any

from netctl.errors import BadConfig, InvalidInput
from netctl.names import check_hostname, check_name
from netctl.record import record

if TYPE_CHECKING:
    from yaml import Node

DEFAULT_PATH = "/etc/netctl/netctl.yaml"
_SIZE_LIMIT = 1 << 20
"""Bytes of a configuration file."""


@record
class AddressPool:
    """Where subnets are taken from: ``base`` (CIDR) in pieces of prefix length ``size``."""

    base: str
    size: int


@record
class Config:
    """The effective configuration."""

    default_network: str = "bridge"
    default_driver: str = "bridge"
    address_pools: tuple[AddressPool, ...] = ()
    driver_options: dict[str, dict[str, str]] = field(default_factory=dict)
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    lock_timeout: float = 30.0
    """Seconds."""
    ip_forward: str = "auto"
    state_dir: str = "/var/lib/netctl"
    run_dir: str = "/run/netctl"
    color: str = "auto"
    sources: dict[str, str] = field(default_factory=dict)
    """Key to where its value came from."""

    @property
    def names_drivers(self) -> bool:
        """Whether a value that somebody gave holds names and options of drivers."""
        keys = ("default_driver", "driver_options")
        return any(self.sources.get(key, "default") != "default" for key in keys)


@record
class Key:
    """One key: its help, and how its value is read from YAML's types and from text."""

    help: str
    example: str
    """A value in YAML."""
    check: Callable[[Any], Any]
    parse: Callable[[str], Any] = lambda text: text
    text: str = ""
    """A value as text, where that is not what is in YAML."""


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise InvalidInput("a text is expected")
    return str(value)


def _name_of(what: str) -> Callable[[Any], str]:
    return lambda value: check_name(what, _text(value))


def _directory(value: Any) -> str:
    path = _text(value)
    if not path.startswith("/") or not path.isprintable():
        raise InvalidInput("an absolute path is expected")
    return os.path.normpath(path)


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if isinstance(value, bool) or not 0 <= seconds <= 86400:
        raise InvalidInput("a number of seconds from 0 to 86400 is expected")
    return seconds


def _one_of(*words: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        # YAML 1.1 reads off, without quotes, as false.
        value = "off" if value is False else value
        if value not in words:
            raise InvalidInput(f"one of {', '.join(words)} is expected")
        return str(value)

    return check


def _list_of(check: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    def each(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise InvalidInput("a list is expected")
        return tuple(check(item) for item in value)

    return each


def _address(value: Any) -> str:
    from ipaddress import ip_address

    try:
        return str(ip_address(_text(value)))
    except ValueError:
        raise InvalidInput(f"{value!r} is not an IP address") from None


def _domain(value: Any) -> str:
    return "." if value == "." else check_hostname("search domain", _text(value))


def _option(value: Any) -> str:
    text = _text(value)
    if not text or any(character.isspace() for character in text):
        raise InvalidInput(f"{text!r} is not an option of resolv.conf")
    return text


def _pool(value: Any) -> AddressPool:
    from ipaddress import ip_network

    if not isinstance(value, dict) or set(value) != {"base", "size"}:
        raise InvalidInput("an address pool is {base: CIDR, size: PREFIX LENGTH}")
    try:
        base = ip_network(_text(value["base"]))
        size = int(value["size"])
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"address pool: {error}") from None
    if not base.prefixlen <= size <= base.max_prefixlen:
        raise InvalidInput(
            f"address pool {base}: size is from {base.prefixlen} to {base.max_prefixlen}"
        )
    return AddressPool(base=str(base), size=size)


def _pools(value: Any) -> tuple[AddressPool, ...]:
    from ipaddress import ip_network

    pools: tuple[AddressPool, ...] = _list_of(_pool)(value)
    bases = [ip_network(pool.base) for pool in pools]
    for number, base in enumerate(bases):
        for other in bases[:number]:
            if base.version == other.version and base.overlaps(other):
                raise InvalidInput(f"the address pools {other} and {base} overlap")
    return pools


def _options_by_driver(value: Any) -> dict[str, dict[str, str]]:
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise InvalidInput("a mapping DRIVER: {OPTION: VALUE} is expected")
    found = {}
    for driver, options in value.items():
        given = {_text(key): _switch(item) for key, item in options.items()}
        found[check_name("driver", _text(driver))] = given
    return found


def _switch(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else _text(value)


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _pools_of_text(text: str) -> list[dict[str, str]]:
    return [_pairs(item) for item in text.split(";") if item.strip()]


def _drivers_of_text(text: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for item in filter(str.strip, text.split(";")):
        driver, colon, options = item.partition(":")
        if not colon:
            raise InvalidInput(f"{item.strip()[:60]!r} is not DRIVER:OPTION=VALUE")
        found[driver.strip()] = {**found.get(driver.strip(), {}), **_pairs(options)}
    return found


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in filter(str.strip, text.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise InvalidInput(f"{item.strip()[:60]!r} is not KEY=VALUE")
        found[key.strip()] = value.strip()
    return found


KEYS: dict[str, Key] = {
    "default_network": Key(
        help="network that is used where none is named", example="bridge", check=_name_of("network")
    ),
    "default_driver": Key(
        help="driver of a network that is made without -d",
        example="bridge",
        check=_name_of("driver"),
    ),
    "address_pools": Key(
        help="list of {base: CIDR, size: PREFIX LENGTH} that subnets are taken from",
        example="[{base: 10.64.0.0/12, size: 24}]",
        text="base=10.64.0.0/12,size=24;base=fd00:1::/48,size=64",
        check=_pools,
        parse=_pools_of_text,
    ),
    "driver_options": Key(
        help="default options of each driver, DRIVER: {OPTION: VALUE}",
        example='{bridge: {driver.mtu: "1400"}}',
        text="bridge:driver.mtu=1400,bridge.enable_icc=false",
        check=_options_by_driver,
        parse=_drivers_of_text,
    ),
    "dns": Key(
        help="name servers of sandboxes, instead of the host's",
        example="[192.0.2.53]",
        text="192.0.2.53,2001:db8::53",
        check=_list_of(_address),
        parse=_words,
    ),
    "dns_search": Key(
        help="search domains of sandboxes, instead of the host's",
        example="[example.org]",
        text="example.org,example.net",
        check=_list_of(_domain),
        parse=_words,
    ),
    "dns_options": Key(
        help="resolv.conf options of sandboxes, instead of the host's",
        example='["ndots:2"]',
        text="ndots:2,timeout:1",
        check=_list_of(_option),
        parse=_words,
    ),
    "lock_timeout": Key(help="seconds to wait for another netctl", example="30", check=_seconds),
    "ip_forward": Key(
        example="auto",
        help="whether forwarding is turned on where it is off: auto does, and drops between the"
        " interfaces that were there as before; no-drop does not drop; off never turns it on",
        check=_one_of("auto", "no-drop", "off"),
    ),
    "state_dir": Key(help="directory of the store", example="/var/lib/netctl", check=_directory),
    "run_dir": Key(help="directory of the lock", example="/run/netctl", check=_directory),
    "color": Key(
        help="colours and tables for people: auto, always or never",
        example="auto",
        check=_one_of("auto", "always", "never"),
    ),
}


def load(path: str | None, overrides: Mapping[str, str], environ: Mapping[str, str]) -> Config:
    """Return the effective configuration; ``overrides`` are the command's options, by key.

    ``path`` must exist where it is given. Raises ``BadConfig``.
    """
    values: dict[str, Any] = {}
    sources = dict.fromkeys(KEYS, "default")
    _take_user_defaults(values, environ)
    chosen = path or environ.get("NETCTL_CONFIG") or None
    _take_file(chosen or DEFAULT_PATH, chosen is not None, values, sources)
    for key in KEYS:
        variable = f"NETCTL_{key.upper()}"
        if variable in environ:
            _take_text(key, environ[variable], f"environment {variable}", values, sources)
    for key, text in overrides.items():
        _take_text(key, text, f"option --{key.replace('_', '-')}", values, sources)
    return Config(**values, sources=sources)


def _take_user_defaults(values: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Without root the files are in the user's own directories (XDG base directories)."""
    if os.geteuid() == 0 and _initial_user_namespace():
        return
    home = environ.get("HOME", "/")
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    run = environ.get("XDG_RUNTIME_DIR") or f"{home}/.cache"
    values.update(state_dir=f"{data}/netctl", run_dir=f"{run}/netctl")


def _initial_user_namespace() -> bool:
    """Whether root here is root of the host: only there all ids are mapped onto themselves."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as mapping:
            return mapping.read().split() == ["0", "0", "4294967295"]
    except OSError:
        return True  # Without /proc, or a kernel without user namespaces.


def _take_text(
    key: str, text: str, source: str, values: dict[str, Any], sources: dict[str, str]
) -> None:
    known = KEYS[key]
    with _placed(source, text, f"for instance {known.text or known.example}"):
        values[key] = known.check(known.parse(text))
    sources[key] = source


@contextmanager
def _placed(place: str, value: object, hint: str) -> Iterator[None]:
    """Say of a value that is wrong where it is, and what it is where the error does not."""
    try:
        yield
    except InvalidInput as error:
        shown = f"{value!r:.80}"
        what = error.message if shown in error.message else f"{shown}: {error.message}"
        raise BadConfig(f"{place}: {what}", hint=error.hint or hint) from error


def _take_file(path: str, required: bool, values: dict[str, Any], sources: dict[str, str]) -> None:
    content = _read(path, required)
    if content is None:
        return
    for key, node in _entries(path, content):
        place = f"{path}:{node.start_mark.line + 1}"
        if key not in KEYS:
            raise BadConfig(f"{place}: unknown key {key!r:.80}", hint=_near(key))
        if key in values and sources[key] != "default":
            raise BadConfig(
                f"{place}: {key} is given twice ({sources[key]})", hint="leave one of them out"
            )
        value = _plain(node, path)
        with _placed(f"{place}: {key}", value, f"for instance {key}: {KEYS[key].example}"):
            values[key] = KEYS[key].check(value)
        sources[key] = place


def _near(key: str) -> str:
    import difflib

    near = difflib.get_close_matches(key, KEYS, n=1)
    return f"did you mean {near[0]}?" if near else f"known keys: {', '.join(KEYS)}"


def _read(path: str, required: bool) -> str | None:
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            _check_file(path, found)
            return file.read(_SIZE_LIMIT).decode()
    except FileNotFoundError:
        if not required:
            return None
        raise BadConfig(f"{path}: no such file", hint="check --config") from None
    except OSError as error:
        raise BadConfig(f"{path}: {error.strerror}", hint="check --config") from error
    except UnicodeDecodeError:
        raise BadConfig(f"{path}: not UTF-8 text", hint="KEY: VALUE lines are expected") from None


def _check_file(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode) or found.st_size >= _SIZE_LIMIT:
        raise BadConfig(f"{path}: not a regular file of less than 1 MiB", hint="see netctl.yaml(5)")
    if os.geteuid() == 0 and (found.st_mode & 0o022 or found.st_uid != 0):
        raise BadConfig(
            f"{path}: other users can write to it",
            hint=f"chown root {path} && chmod go-w {path}",
        )


def _entries(path: str, content: str) -> list[tuple[str, Node]]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = yaml.compose(content, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise BadConfig(
            f"{path}{line}: not YAML ({getattr(error, 'problem', error)})",
            hint="KEY: VALUE, with a space after the colon; values with colons in quotes",
        ) from None
    if root is None:
        return []
    if not isinstance(root, yaml.MappingNode):
        raise BadConfig(f"{path}:1: KEY: VALUE lines are expected", hint=", ".join(KEYS))
    return [(str(key.value), value) for key, value in root.value]


def _plain(node: Node, path: str, depth: int = 0) -> Any:
    """Return a node's value. An alias inside itself, or a nest of them, ends at a small depth."""
    import yaml

    if depth > 4:
        raise BadConfig(
            f"{path}:{node.start_mark.line + 1}: nested too deeply", hint="see netctl.yaml(5)"
        )
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, path, depth + 1) for item in node.value[:1000]]
    if isinstance(node, yaml.MappingNode):
        pairs = node.value[:1000]
        return {str(key.value): _plain(value, path, depth + 1) for key, value in pairs}
    if node.tag == "tag:yaml.org,2002:bool":
        return str(node.value).lower() in ("true", "yes", "on")
    return node.value
