"""A sandbox as it is asked for."""

from __future__ import annotations

from netctl.definitions.checks import check_address, check_alike, check_path, check_texts
from netctl.errors import InvalidInput
from netctl.models import Sandbox, SandboxKind
from netctl.names import check_askable, check_hostname, check_name
from netctl.nameservers import check_option, check_servers
from netctl.record import Record, field, field_names, replace


class SandboxDefinition(Record):
    """A sandbox as it is asked for."""

    name: str
    type: SandboxKind = SandboxKind.OWN
    hostname: str = ""
    domainname: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    hosts_path: str = ""
    resolv_conf_path: str = ""
    origin_hosts_path: str = ""
    origin_resolv_conf_path: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def checked(self) -> SandboxDefinition:
        check_name("sandbox", self.name)
        check_texts(self.labels)
        if self.domainname:
            check_hostname("domain name", self.domainname)
        if self.hostname:
            check_askable("host name", self.hostname)
            check_askable("host name", ".".join(filter(None, (self.hostname, self.domainname))))
        for domain in self.dns_search:
            if domain != ".":
                check_hostname("search domain", domain)
        for option in self.dns_options:
            check_option("--dns-opt", option)
        if self.type is SandboxKind.HOST:
            check_nameless("a sandbox of the host's own stack", self.hostname, self.domainname)
        self._check_paths()
        extra = tuple(
            (check_askable("--add-host", name), check_address("--add-host", address))
            for name, address in self.extra_hosts
        )
        return replace(self, extra_hosts=extra, dns=check_servers("--dns", self.dns))

    def _check_paths(self) -> None:
        for option, path in {
            "--hosts-path": self.hosts_path,
            "--resolv-conf-path": self.resolv_conf_path,
            "--origin-hosts-path": self.origin_hosts_path,
            "--origin-resolv-conf-path": self.origin_resolv_conf_path,
        }.items():
            if path:
                check_path(option, path)
        if self.hosts_path and self.hosts_path == self.resolv_conf_path:
            raise InvalidInput(
                f"--hosts-path and --resolv-conf-path are both {self.hosts_path}",
                hint="give two paths; without, netctl sandbox inspect shows where they are",
            )

    def check_same(self, existing: Sandbox) -> None:
        """Raise ``Conflict`` where ``existing`` was defined in another way."""
        names = field_names(type(self))
        check_alike(
            "sandbox", self.name, [n for n in names if getattr(self, n) != getattr(existing, n)]
        )


def check_nameless(what: str, hostname: object, domainname: object) -> None:
    """Raise ``InvalidInput`` for names of a sandbox in which they would have no effect: they stand
    beside its addresses in its hosts file, and it has none of its own."""
    given = {"--hostname": hostname, "--domainname": domainname}
    if options := [option for option, value in given.items() if value]:
        raise InvalidInput(
            f"{what} has no addresses of its own, so {' and '.join(options)} would have no effect",
            hint=f"leave out {', '.join(options)}; --add-host NAME:IP writes a line into its hosts",
        )
