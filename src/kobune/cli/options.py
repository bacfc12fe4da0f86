"""kubectl's options, which every verb takes: before the verb or after it, shown in help or only by `kobune options`.

Owns: their declaration, and collecting what was given on the way from `kobune` to the verb. Must not: act on them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import click

__all__ = ["EVERYDAY", "SHARED", "SharedOption", "collected", "shared_options", "take", "tidied"]

META: Final = "kobune.cli.options"


@dataclass(frozen=True, slots=True)
class SharedOption:
    """`name` is the key in what `collected` returns; parameters of verbs never have it, as it begins with `api_`."""

    flags: tuple[str, ...]
    name: str
    help: str
    metavar: str = ""
    type: Any = None
    is_flag: bool = False
    multiple: bool = False

    def build(self, flags: Iterable[str], text: str | None) -> click.Option:
        """The option as click has it, with `text` as its help, or hidden without."""
        more: dict[str, Any] = {"is_flag": True} if self.is_flag else {"metavar": self.word, "type": self.type}
        return click.Option(
            [*flags, self.name], default=None, help=text, hidden=text is None, multiple=self.multiple, **more
        )

    @property
    def word(self) -> str:
        """What stands for the value."""
        return self.metavar or self.flags[-1].removeprefix("--").upper()


SHARED: Final = (
    SharedOption(("-n", "--namespace"), "api_namespace", "Namespace to work in; default: the context's."),
    SharedOption(("--context",), "api_context", "Context of the kubeconfig to use."),
    SharedOption(("--kubeconfig",), "api_kubeconfig", "Path of the kubeconfig file.", "FILE"),
    SharedOption(("--cluster",), "api_cluster", "Cluster of the kubeconfig to use, instead of the context's."),
    SharedOption(("--user",), "api_user", "User of the kubeconfig to be, instead of the context's."),
    SharedOption(("-s", "--server"), "api_server", "Address of the Kubernetes API.", "URL"),
    SharedOption(("--token",), "api_token", "Bearer token to authenticate with."),
    SharedOption(("--username",), "api_username", "User name for basic authentication."),
    SharedOption(("--password",), "api_password", "Password for basic authentication."),
    SharedOption(("--client-certificate",), "api_client_certificate", "Certificate to authenticate with.", "FILE"),
    SharedOption(("--client-key",), "api_client_key", "The certificate's private key.", "FILE"),
    SharedOption(("--certificate-authority",), "api_certificate_authority", "Who vouches for the server.", "FILE"),
    SharedOption(
        ("--insecure-skip-tls-verify",),
        "api_insecure_skip_tls_verify",
        "Trust any server: whoever answers gets the credentials.",
        is_flag=True,
    ),
    SharedOption(("--tls-server-name",), "api_tls_server_name", "Name that the server's certificate must bear."),
    SharedOption(("--as",), "api_as_user", "User in whose name to ask.", "USER"),
    SharedOption(("--as-uid",), "api_as_uid", "UID of that user.", "UID"),
    SharedOption(("--as-group",), "api_as_groups", "Group of that user; repeatable.", "GROUP", multiple=True),
    SharedOption(
        ("--request-timeout",),
        "api_request_timeout",
        "Longest wait for an answer, such as 5s or 1m; 0: no limit.",
        "TIME",
    ),
    SharedOption(("-v", "--v"), "api_verbosity", "From 6 on, tell each request and its answer.", "LEVEL", int),
    SharedOption(("--disable-compression",), "api_disable_compression", "Taken for kubectl's scripts.", is_flag=True),
    SharedOption(("--cache-dir",), "api_cache_dir", "Taken for kubectl's scripts: nothing is cached.", "DIRECTORY"),
    SharedOption(("--match-server-version",), "api_match_server_version", "Taken for kubectl's scripts.", is_flag=True),
)
EVERYDAY: Final = {option.name: option.help for option in SHARED[:3]}
"""What is shown in a verb's help, by name."""
_NAMES: Final = frozenset(option.name for option in SHARED)


def shared_options(taken: Iterable[click.Parameter], shown: Mapping[str, str]) -> list[click.Option]:
    """The options beside those that a verb has itself, as `--user` of `create vm`; `shown` has those in its help."""
    used = {flag for parameter in taken for flag in parameter.opts}
    return [
        option.build(free, shown.get(option.name))
        for option in SHARED
        if (free := [flag for flag in option.flags if flag not in used]) and any(flag.startswith("--") for flag in free)
    ]


def take(ctx: click.Context) -> None:
    """Move what was given from the parameters of a command to what `collected` returns: the innermost command wins."""
    given = {name: ctx.params.pop(name) for name in _NAMES.intersection(ctx.params)}
    found: dict[str, Any] = ctx.meta.setdefault(META, {})
    found.update({name: value for name, value in given.items() if value})


def collected() -> dict[str, Any]:
    """What was given of these options, by name; nothing for those that were not."""
    found: dict[str, Any] = click.get_current_context().meta.get(META, {})
    return found


def tidied(parameters: Sequence[click.Parameter], args: Sequence[str], *, interspersed: bool) -> list[str]:
    """Words as click reads them from words as scripts for kubectl write them: `--flag=true`, `--flag=false`, `-n=NAME`.

    Everything behind `--` is left as it is, and without `interspersed`, everything from the first plain word on.
    """
    options = {flag: item for item in parameters if isinstance(item, click.Option) for flag in item.opts}
    words: list[str] = []
    is_value = False
    for index, word in enumerate(args):
        name, equals, value = word.partition("=")
        option = options.get(name)
        if is_value:
            words.append(word)
            is_value = False
        elif word == "--" or not (interspersed or word.startswith("-")):
            return [*words, *args[index:]]
        elif option is None:
            words.append(word)
        elif equals and option.is_flag and value.lower() in ("true", "false"):
            words += _flag(option, name, value.lower() == "true")
        elif equals and not option.is_flag and not name.startswith("--"):
            words += [name, value]
        else:
            words.append(word)
            is_value = not option.is_flag and not equals
    return words


def _flag(option: click.Option, name: str, value: bool) -> list[str]:
    """A flag with an opposite is turned off by that, another one by being left out."""
    if value:
        return [name]
    return option.secondary_opts[:1]
