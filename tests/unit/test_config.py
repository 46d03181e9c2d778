"""The configuration: where values come from, and what is not taken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netctl.config import AddressPool, Config, load
from netctl.config_keys import KEYS
from netctl.controller import Controller
from netctl.errors import BadConfig, InvalidInput
from tests.fake_kernel import FakeKernel


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "netctl.yaml"


def of(file: Path, text: str, mode: int = 0o600) -> Config:
    file.write_text(text)
    file.chmod(mode)
    return load(str(file), {}, {})


def test_the_defaults() -> None:
    config = load(None, {}, {})
    assert (config.default_network, config.state_dir) == ("bridge", "/var/lib/netctl")
    assert set(config.sources.values()) == {"default"}
    assert set(config.sources) == set(KEYS)


def test_a_whole_file(file: Path) -> None:
    config = of(
        file,
        "default_network: web\n"
        "address_pools:\n  - {base: 10.64.0.0/12, size: 24}\n"
        "driver_options:\n  bridge: {driver.mtu: 1400, bridge.enable_icc: false}\n"
        "dns: [192.0.2.1, '2001:db8::1']\n"
        "lock_timeout: 2.5\nip_forward: no-drop\n",
    )
    assert config.default_network == "web"
    assert config.address_pools == (AddressPool(base="10.64.0.0/12", size=24),)
    assert config.driver_options == {"bridge": {"driver.mtu": "1400", "bridge.enable_icc": "false"}}
    assert config.dns == ("192.0.2.1", "2001:db8::1")
    assert (config.lock_timeout, config.ip_forward) == (2.5, "no-drop")
    assert config.sources["lock_timeout"] == f"{file}:7"


@pytest.mark.parametrize("word", ["off", "'off'", "no", "false", "Off"])
def test_forwarding_is_turned_off_however_yaml_says_it(file: Path, word: str) -> None:
    assert of(file, f"ip_forward: {word}\n").ip_forward == "off"


def test_option_before_environment_before_file(file: Path) -> None:
    file.write_text("lock_timeout: 1\ndefault_driver: null\n")
    file.chmod(0o600)
    environ = {"NETCTL_LOCK_TIMEOUT": "2", "NETCTL_DNS": "192.0.2.1,192.0.2.2"}
    config = load(str(file), {}, environ)
    assert (config.lock_timeout, config.sources["lock_timeout"]) == (
        2.0,
        "environment NETCTL_LOCK_TIMEOUT",
    )
    assert config.dns == ("192.0.2.1", "192.0.2.2")
    config = load(str(file), {"lock_timeout": "3"}, environ)
    assert (config.lock_timeout, config.sources["lock_timeout"]) == (3.0, "option --lock-timeout")


def test_structured_values_by_environment() -> None:
    config = load(
        None,
        {},
        {
            "NETCTL_ADDRESS_POOLS": "base=10.0.0.0/8,size=24;base=fd00::/48,size=64",
            "NETCTL_DRIVER_OPTIONS": "bridge:driver.mtu=1400,bridge.enable_icc=false",
        },
    )
    assert [pool.base for pool in config.address_pools] == ["10.0.0.0/8", "fd00::/48"]
    assert config.driver_options["bridge"]["bridge.enable_icc"] == "false"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("dns: 1\n", 1, "a list is expected"),
        ("\n\ndefault_netwrk: x\n", 3, "unknown key"),
        ("lock_timeout: soon\n", 1, "number of seconds"),
        ("lock_timeout: -1\n", 1, "number of seconds"),
        ("lock_timeout: true\n", 1, "number of seconds"),
        ("default_network: a/b\n", 1, "not allowed"),
        ("address_pools: [{base: 10.0.0.1/8, size: 24}]\n", 1, "host bits"),
        ("address_pools: [{base: 10.0.0.0/8, size: 4}]\n", 1, "size is from 8 to 32"),
        ("address_pools: [10.0.0.0/8]\n", 1, "base: CIDR"),
        (
            "address_pools: [{base: 10.0.0.0/8, size: 24}, {base: 10.1.0.0/16, size: 24}]\n",
            1,
            "10.0.0.0/8 and 10.1.0.0/16 overlap",
        ),
        (
            "address_pools: [{base: 10.0.0.0/8, size: 24}, {base: 10.0.0.0/8, size: 24}]\n",
            1,
            "10.0.0.0/8, size 24, is given twice",
        ),
        ("default_driver: a/b\n", 1, "driver name 'a/b' is not allowed"),
        ("dns: [nonsense]\n", 1, "not an IP address"),
        ("color: auto\ndns: [0.0.0.0]\n", 2, "'0.0.0.0' cannot be a name server .unspecified"),
        ("dns: [192.0.2.1%eth0]\n", 1, "only an address in fe80::/10 has an interface"),
        ("dns_options: ['ndots:x']\n", 1, "ndots takes a number from 0 to 15"),
        ("dns_options: [rotat]\n", 1, "'rotat' is not an option of resolv.conf"),
        ("ip_forward: maybe\n", 1, "auto, no-drop, off"),
        ("ip_forward: on\n", 1, "auto, no-drop, off"),
        ("color: off\n", 1, "auto, always, never"),
        ("state_dir: relative\n", 1, "absolute path"),
        ("driver_options: {bridge: 5}\n", 1, "mapping"),
        ("dns: []\ndns: []\n", 2, "given twice"),
        ("a: b: c\n", 1, "not YAML"),
        ("- list\n", 1, "KEY: VALUE"),
        ("dns: &a [*a]\n", 1, "nested too deeply|not an IP|YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(file: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(BadConfig, match=words) as caught:
        of(file, text)
    assert f"{file}:{line}" in caught.value.message
    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert "  " not in caught.value.message


@pytest.mark.parametrize("key", KEYS)
def test_every_example_is_right(file: Path, key: str) -> None:
    known = KEYS[key]
    config = of(file, f"{key}: {known.example}\n")
    assert config.sources[key] == f"{file}:1"
    variable = f"NETCTL_{key.upper()}"
    config = load(None, {}, {variable: known.text or known.example})
    assert config.sources[key] == f"environment {variable}"
    assert getattr(config, key) not in ((), {})


@pytest.mark.parametrize(
    ("variable", "text", "words", "hint"),
    [
        ("ADDRESS_POOLS", "10.0.0.0/8", "'10.0.0.0/8' is not KEY=VALUE", "base=10.64.0.0/12"),
        ("ADDRESS_POOLS", "base=10.0.0.0/8", "base: CIDR", "size=24"),
        ("DRIVER_OPTIONS", "driver.mtu=1400", "not DRIVER:OPTION=VALUE", "bridge:driver.mtu="),
        ("DRIVER_OPTIONS", "bridge:mtu", "'mtu' is not KEY=VALUE", "bridge:driver.mtu="),
        ("DNS", "nonsense", "not an IP address", "192.0.2.53"),
        ("COLOR", "sometimes", "one of auto, always, never", "auto"),
    ],
)
def test_the_form_of_a_variable_is_shown(variable: str, text: str, words: str, hint: str) -> None:
    with pytest.raises(BadConfig) as caught:
        load(None, {}, {f"NETCTL_{variable}": text})
    assert caught.value.message.startswith(f"environment NETCTL_{variable}: ")
    assert words in caught.value.message and hint in (caught.value.hint or "")


def test_the_options_of_one_driver_may_come_in_parts() -> None:
    text = "bridge:driver.mtu=1400;bridge:bridge.enable_icc=false"
    config = load(None, {}, {"NETCTL_DRIVER_OPTIONS": text})
    assert config.driver_options["bridge"] == {
        "driver.mtu": "1400",
        "bridge.enable_icc": "false",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("default_driver: foo\n", "unknown driver 'foo'"),
        ("driver_options: {bridge: {foo: 1}}\n", "driver bridge has no option 'foo'"),
        ("driver_options: {nodriver: {foo: 1}}\n", "unknown driver 'nodriver'"),
        ("driver_options: {null: {driver.mtu: 1400}}\n", "driver null has no option"),
    ],
)
def test_drivers_and_their_options_are_checked_with_the_line(
    file: Path, text: str, words: str
) -> None:
    config = of(file, f"\n{text}")
    with pytest.raises(BadConfig, match=words) as caught:
        Controller(config, kernel=FakeKernel()).check_config()
    assert caught.value.message.startswith(f"{file}:2: ")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("option", "value"), [("driver.mtu", "1"), ("bridge.enable_icc", "maybe"), ("enable_ipv6", "x")]
)
def test_a_configured_value_that_a_driver_refuses_is_named_with_its_place(
    file: Path, tmp_path: Path, option: str, value: str
) -> None:
    places = {"NETCTL_STATE_DIR": f"{tmp_path}/state", "NETCTL_RUN_DIR": f"{tmp_path}/run"}
    file.write_text(f"\ndriver_options: {{bridge: {{{option}: {value}}}}}\n")
    file.chmod(0o600)
    with Controller(load(str(file), {}, places), kernel=FakeKernel()) as controller:
        for make in (
            lambda: controller.networks.create("web"),
            lambda: controller.endpoints.create("bridge", "e"),
        ):
            with pytest.raises(BadConfig, match=f"{file}:2: driver_options: option .*{option}"):
                make()
        with pytest.raises(InvalidInput) as caught:
            controller.networks.create("web", options={option: f"{value}!"})
        assert not isinstance(caught.value, BadConfig)
        controller.networks.create("web", options={option: "1400" if value == "1" else "true"})


@pytest.mark.parametrize(
    ("base", "kind"),
    [
        ("224.0.0.0/4", "multicast"),
        ("239.1.0.0/16", "multicast"),
        ("0.0.0.0/8", "unspecified"),
        ("0.0.0.0/0", "unspecified"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("255.255.255.0/24", "broadcast"),
        ("ff00::/8", "multicast"),
        ("::/64", "unspecified"),
    ],
)
def test_a_pool_that_is_not_for_hosts_is_refused_with_its_line(
    file: Path, base: str, kind: str
) -> None:
    size = 64 if ":" in base else 28
    config = of(file, f"\naddress_pools: [{{base: '{base}', size: {size}}}]\n")
    uses: list[Callable[[Controller], object]] = [
        lambda c: c.networks,
        lambda c: c.check_config(),
        lambda c: c.sandboxes.create("c1"),
        lambda c: c.endpoints.create("bridge", "e"),
    ]
    for use in uses:
        with pytest.raises(BadConfig, match=f"not for hosts .*{kind}") as caught:
            use(Controller(config, kernel=FakeKernel()))
        assert caught.value.message.startswith(f"{file}:2: address_pools: ")
        assert caught.value.hint and caught.value.exit_code == 2


def test_one_base_in_two_sizes_gives_both(file: Path, tmp_path: Path) -> None:
    places = {"NETCTL_STATE_DIR": f"{tmp_path}/state", "NETCTL_RUN_DIR": f"{tmp_path}/run"}
    file.write_text(
        "address_pools: [{base: 10.8.0.0/23, size: 24}, {base: 10.8.0.0/23, size: 28}]\n"
    )
    file.chmod(0o600)
    with Controller(load(str(file), {}, places), kernel=FakeKernel()) as controller:
        made = [controller.networks.create("large")]
        made.append(controller.networks.create("small", subnets=["auto/28"]))
        # Where no large piece is left, there may be a small one.
        made.append(controller.networks.create("next"))
        subnets = [network.doc.pools[0].subnet for network in made]
        assert subnets == ["10.8.0.0/24", "10.8.1.0/28", "10.8.1.16/28"]


def test_drivers_that_are_known_with_options_of_every_driver(file: Path) -> None:
    text = (
        "default_driver: bridge\ndriver_options: {bridge: {enable_ipv6: true, driver.mtu: 1400}}\n"
    )
    with Controller(of(file, text), kernel=FakeKernel()) as controller:
        controller.check_config()


def test_a_misspelt_key_is_guessed(file: Path) -> None:
    with pytest.raises(BadConfig) as caught:
        of(file, "lock_timeut: 1\n")
    assert caught.value.hint == "did you mean lock_timeout?"


def test_a_file_that_others_can_write_is_refused(file: Path) -> None:
    with pytest.raises(BadConfig, match="other users") as caught:
        of(file, "dns: []\n", mode=0o666)
    assert "chmod go-w" in (caught.value.hint or "")


@pytest.mark.parametrize("environ", [{"NETCTL_CONFIG": "/nonexistent/x"}, {}])
def test_a_file_that_was_asked_for_must_be_there(environ: dict[str, str]) -> None:
    with pytest.raises(BadConfig, match="no such file"):
        load(None if environ else "/nonexistent/x", {}, environ)


def test_a_wrong_environment_is_named() -> None:
    with pytest.raises(BadConfig, match="environment NETCTL_LOCK_TIMEOUT"):
        load(None, {}, {"NETCTL_LOCK_TIMEOUT": "x"})


def test_not_a_text_file(file: Path, tmp_path: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    file.chmod(0o600)
    with pytest.raises(BadConfig, match="not UTF-8"):
        load(str(file), {}, {})
    with pytest.raises(BadConfig):
        load(str(tmp_path), {}, {})


def test_root_of_a_user_namespace_has_directories_of_its_own() -> None:
    program = (
        "import os; from netctl.config import load;"
        "c = load(None, {}, {'HOME': '/home/u'}); print(os.geteuid(), c.state_dir, c.run_dir)"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and "unshare" in done.stderr:
        pytest.skip("user namespaces")
    assert done.stdout == "0 /home/u/.local/share/netctl /home/u/.cache/netctl\n", done.stderr
