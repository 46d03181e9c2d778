"""The library as programs meet it: arguments, handles, exceptions and the words of its hints."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import netctl
from netctl import errors
from netctl.controller import Controller
from netctl.definitions.endpoint import EndpointOptions
from netctl.endpoints import Endpoints
from netctl.library_words import translated
from netctl.networks import Networks
from netctl.sandboxes import Sandboxes
from tests.fake_kernel import FakeKernel
from tests.unit.test_every_step import config
from tests.unit.test_hints import sources

WRONG: dict[str, Callable[[Controller], object]] = {
    "create": lambda c: c.endpoints.create("web", "e", adress="10.0.0.1"),  # type: ignore[call-arg]
    "connect": lambda c: c.endpoints.connect("web", "c1", port=["80"]),  # type: ignore[call-arg]
    "of a network": lambda c: c.networks.get("web").endpoints.create("e", Ip="10.0.0.1"),  # type: ignore[call-arg]
    "run": lambda c: c.sandboxes.run(["true"], endpoint={"subnet": "10.0.0.0/24"}),  # type: ignore[arg-type]
    "network": lambda c: c.networks.create("x", subnet="10.0.0.0/24"),  # type: ignore[call-arg]
    "sandbox": lambda c: c.sandboxes.create("x", host_name="x"),  # type: ignore[call-arg]
}


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    with Controller(config(tmp_path), kernel=FakeKernel()) as made:
        made.networks.create("web")
        made.sandboxes.create("c1")
        yield made


@pytest.mark.parametrize("call", WRONG.values(), ids=WRONG)
def test_an_unknown_keyword_is_a_type_error_and_changes_nothing(
    controller: Controller, call: Callable[[Controller], object]
) -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword|has no option"):
        call(controller)
    assert controller.endpoints.list() == []
    assert [each.name for each in controller.sandboxes.list()] == ["c1"]


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("preexec_fn", "how the sandbox is entered"),
        ("user", "before the sandbox is entered"),
        ("group", "before the sandbox is entered"),
        ("extra_groups", "before the sandbox is entered"),
        ("args", "given already"),
    ],
)
def test_what_cannot_work_in_a_sandbox_is_a_type_error_that_says_so(
    controller: Controller, option: str, why: str
) -> None:
    with pytest.raises(TypeError, match=rf"exec\(\) does not take '{option}': .*{why}"):
        controller.sandboxes.exec("c1", ["true"], **{option: print})
    with pytest.raises(TypeError, match=option):
        controller.sandboxes.get("c1").exec(["true"], **{option: [7]})


def test_a_handle_is_accepted_wherever_a_name_is(controller: Controller) -> None:
    net, box = controller.networks.get("web"), controller.sandboxes.get("c1")
    assert controller.networks.get(net) == net
    assert controller.sandboxes.get(box) == box
    made = controller.endpoints.create(net, "one")
    assert controller.endpoints.get(made).id == made.id
    assert controller.endpoints.join(made, box).doc.attachment
    controller.endpoints.publish(made, ["8080:80"])
    controller.endpoints.unpublish(made, ["80"])
    assert controller.endpoints.leave(made, box).doc.attachment is None
    connected = controller.endpoints.connect(net, box)
    assert [each.id for each in controller.endpoints.list(net)] == sorted(
        (connected.id, made.id), key=lambda found: found != connected.id
    )
    assert controller.sandboxes.way_out(box) == connected.id
    controller.endpoints.disconnect(net, box)
    controller.endpoints.remove(made)
    box = controller.sandboxes.rename(box, "c2")
    controller.sandboxes.refresh(box)
    controller.sandboxes.remove(box)
    controller.networks.remove(net)
    assert controller.networks.list() == controller.sandboxes.list() == []


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.networks.get(c.sandboxes.get("c1")),
        lambda c: c.sandboxes.remove(c.networks.get("web")),
        lambda c: c.endpoints.create(c.sandboxes.get("c1"), "e"),
        lambda c: c.endpoints.get(c.networks.get("web")),
        lambda c: c.endpoints.get(7),
        lambda c: c.networks.get(b"web"),
        lambda c: c.sandboxes.get(object()),
    ],
)
def test_what_names_no_object_of_that_kind_is_a_type_error(
    controller: Controller, call: Callable[[Any], object]
) -> None:
    with pytest.raises(TypeError, match="a name, an id or its handle is expected"):
        call(controller)


def test_a_handle_prints_its_kind_its_name_and_its_short_id(controller: Controller) -> None:
    found: list[Any] = [
        controller.networks.get("web"),
        controller.sandboxes.get("c1"),
        controller.endpoints.create("web", "one"),
    ]
    for handle, kind, name in zip(
        found, ("Network", "Sandbox", "Endpoint"), ("web", "c1", "one"), strict=True
    ):
        assert repr(handle) == f"<{kind} {name} {handle.id[:12]}>"
        assert str(handle) == name


def test_every_exception_is_exported_and_so_are_they_alone() -> None:
    kinds = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, netctl.NetctlError)
    }
    assert kinds | {"Controller", "__version__"} == set(netctl.__all__)
    assert all(getattr(netctl, name) is getattr(errors, name) for name in kinds)


def test_a_hint_is_in_the_librarys_words_and_in_the_command_lines(controller: Controller) -> None:
    controller.endpoints.connect("web", "c1")
    with pytest.raises(netctl.Conflict) as caught:
        controller.sandboxes.remove("c1")
    assert "force=True" in str(caught.value.hint) and "--force" not in str(caught.value.hint)
    assert "controller.endpoints.leave()" in str(caught.value.hint)
    assert "--force" in str(caught.value.command_hint)


@pytest.mark.parametrize(
    ("command", "library"),
    [
        ("netctl endpoint leave web/a c1", "controller.endpoints.leave('web/a', 'c1')"),
        ("netctl sandbox refresh c1 makes it again", "controller.sandboxes.refresh('c1') makes"),
        ("netctl sandbox set-key c1 /run/netns/x", "sandboxes.set_key('c1', '/run/netns/x')"),
        ("netctl sandbox create --host makes one", "controller.sandboxes.create(host=True) makes"),
        ("netctl sandbox create x --netns /run/netns/x", "create('x', netns_path='/run/netns/x')"),
        ("netctl check shows it, netctl gc removes it", "controller.check() shows it, controller."),
        ("--subnet CIDR, or --subnet auto/26", "subnets=[CIDR], or subnets=['auto/26']"),
        ("-o bridge.name=br0 uses it", "options={'bridge.name': 'br0'} uses it"),
        ("--gateway 10.0.0.1", "gateways=['10.0.0.1']"),
        ("--gateway fd00::1, or", "gateways=['fd00::1'], or"),
        ("mkdir -p /run/netns", "mkdir -p /run/netns"),
        ("sysctl -w net.ipv4.ip_forward=1", "sysctl -w net.ipv4.ip_forward=1"),
        ("firewall-cmd --zone=trusted --add-interface=br0", "firewall-cmd --zone=trusted --add-in"),
    ],
)
def test_commands_become_calls_and_options_keywords(command: str, library: str) -> None:
    assert library in translated(command)
    assert translated(translated(command)) == translated(command)


def _texts(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an expression can be, with ``x1`` for what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(p.value) if isinstance(p, ast.Constant) else "x1" for p in parts)
        case ast.BinOp(left=left, right=right):
            yield from (one + two for one in _texts(left) for two in _texts(right))
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*_texts(body), *_texts(orelse))


def _said() -> Iterator[tuple[str, str]]:
    """Yield what the library's errors and notices say: ``hint`` or ``message``, and the text."""
    for path in sources():
        if "commands" in path.parts or path.name in ("cli.py", "groups.py", "universal.py"):
            continue  # what only the command line says
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                yield from (("hint", text) for text in _texts(node.value))
            elif isinstance(node, ast.Yield) and node.value:
                yield from (("message", text) for text in _texts(node.value))
            elif isinstance(node, ast.Call) and node.args and _tells(node.func):
                yield from (("message", text) for text in _texts(node.args[0]))


def _tells(function: ast.expr) -> bool:
    """Whether what is called with a text first makes an error of it, a note or a notice."""
    if isinstance(function, ast.Name):
        return hasattr(errors, function.id)
    return isinstance(function, ast.Attribute) and function.attr in ("add_note", "append")


def _hints() -> Iterator[str]:
    return (text for what, text in _said() if what == "hint")


def test_no_hint_of_the_library_speaks_the_command_lines_words() -> None:
    hints = set(_hints())
    messages = {text for what, text in _said() if what == "message"}
    assert len(hints) > 100 and len(messages) > 200
    said = {text: translated(text) for text in hints | messages}
    left = re.compile(
        r"(?<![\w-])--(?!no-install)[a-z]|\bnetctl (network|endpoint|sandbox|repair|check|gc)\b"
    )
    wrong = {text: found for text, found in said.items() if left.search(found)}
    # What only the command line asks for, other programs' options, and options by their variable.
    others = re.compile(r"--(format|filter|x1|ctstate)")
    assert {text: found for text, found in wrong.items() if not others.search(text)} == {}


def test_an_error_is_in_the_librarys_words_as_a_whole(controller: Controller) -> None:
    with pytest.raises(netctl.InvalidInput) as caught:
        controller.endpoints.connect("web", "c1", ip="x")
    error = caught.value
    assert error.message == str(error) == "ip 'x' is not an IP address"
    assert error.command_message == "--ip 'x' is not an IP address"
    error.add_note("try --subnet 10.0.0.0/24, or netctl network ls")
    assert error.notes == ["try subnets=['10.0.0.0/24'], or controller.networks.list()"]
    assert error.command_notes == ["try --subnet 10.0.0.0/24, or netctl network ls"]


def test_notices_are_in_the_librarys_words(controller: Controller) -> None:
    controller.notices.append("run netctl network rm web, or use --force")
    controller.notices += ["see netctl check"]
    controller.notices.extend(["see netctl check"])
    assert list(controller.notices) == [
        "run controller.networks.remove('web'), or use force=True",
        "see controller.check()",
        "see controller.check()",
    ]
    assert "see netctl check" in controller.notices
    assert pickle.loads(pickle.dumps(controller.notices)) == controller.notices


def test_what_a_hint_tells_to_call_exists() -> None:
    entries: dict[str, type] = {
        "networks": Networks,
        "endpoints": Endpoints,
        "sandboxes": Sandboxes,
    }
    keywords = {
        name
        for kind in (Controller, *entries.values())
        for method in vars(kind).values()
        if inspect.isfunction(method)
        for name in inspect.signature(method).parameters
    }
    keywords |= set(EndpointOptions.__annotations__)
    for text in map(translated, _hints()):
        for group, method in re.findall(r"controller\.(\w+)\.(\w+)\(", text):
            assert hasattr(entries[group], method), text
        for method in re.findall(r"controller\.(\w+)\(", text):
            assert hasattr(Controller, method), text
        for keyword in re.findall(r"(?<![\w.])([a-z_]\w*)=[\['{T]", text):
            assert keyword in keywords, text
