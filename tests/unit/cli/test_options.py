"""kubectl's options: before the verb or behind it, on every verb, and what they mean for the requests that are sent."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from aiohttp import web
from click.testing import CliRunner

from kobune.cli.app import COMMANDS, app
from kobune.cli.lazy import LazyCommand
from kobune.cli.options import SHARED, tidied
from kobune.cli.session import Session
from kobune.kube.client.config import in_cluster_config

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: one
clusters:
- {name: one, cluster: {server: "http://one"}}
- {name: two, cluster: {server: "http://two"}}
users:
- {name: me, user: {token: mine}}
- {name: you, user: {token: yours}}
contexts:
- {name: one, context: {cluster: one, user: me, namespace: first}}
- {name: two, context: {cluster: two, user: you}}
"""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(KUBECONFIG)
    return path


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["-n=a", "--dry-run=true", "x"], ["-n", "a", "--dry-run", "x"]),
        (["--dry-run=false", "--both=false"], ["--no-both"]),
        (["--text=-n=a", "-n", "-n=b"], ["--text=-n=a", "-n", "-n=b"]),
        (["x", "--", "--dry-run=true"], ["x", "--", "--dry-run=true"]),
    ],
)
def test_words_are_read_as_kubectl_reads_them(words: list[str], read: list[str]) -> None:
    parameters = [
        click.Option(["-n", "--namespace"]),
        click.Option(["--text"]),
        click.Option(["--dry-run"], is_flag=True),
        click.Option(["--both/--no-both"]),
    ]
    assert tidied(parameters, words, interspersed=True) == read


def test_before_the_verb_only_what_is_before_it_is_read() -> None:
    parameters = [click.Option(["-n", "--namespace"])]
    words = ["-n=a", "ssh", "-c", "-n=b"]
    assert tidied(parameters, words, interspersed=False) == ["-n", "a", "ssh", "-c", "-n=b"]


def verbs() -> Iterator[tuple[str, click.Command]]:
    for name, target, _ in COMMANDS:
        real = LazyCommand(name, target).load()
        yield name, real
        if isinstance(real, click.Group):
            yield from ((f"{name} {inner}", child) for inner, child in real.commands.items())


@pytest.mark.parametrize(("name", "real"), [*verbs()], ids=lambda item: item if isinstance(item, str) else "")
def test_every_verb_takes_them(name: str, real: click.Command) -> None:
    flags = {flag for parameter in real.params for flag in parameter.opts}
    missing = {flag for option in SHARED for flag in option.flags if flag.startswith("--")} - flags
    assert not missing


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("http://one", "mine", "first")),
        ({"api_context": "two"}, ("http://two", "yours", "default")),
        ({"api_cluster": "two", "api_namespace": "b"}, ("http://two", "mine", "b")),
        ({"api_user": "you"}, ("http://one", "yours", "first")),
        ({"api_server": "other:6443", "api_token": "t"}, ("https://other:6443", "t", "first")),
    ],
)
def test_which_api_is_asked(kubeconfig: Path, given: dict[str, Any], expected: tuple[str, str, str]) -> None:
    session = Session({"api_kubeconfig": str(kubeconfig), **given})
    config = session.config()
    assert (config.server, config.token, session.namespace(config)) == expected


def test_an_address_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    session = Session({"api_server": "https://h", "api_token": "t"})
    assert session.config().token == "t"
    assert session.options() == ["--server", "https://h", "--token", "t"]


def test_a_pod_uses_its_service_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("token", "t"), ("ca.crt", "ca"), ("namespace", "pods")):
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(in_cluster_config, "__defaults__", (tmp_path,))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    session = Session()
    config = session.config()
    assert (config.server, session.namespace(config)) == ("https://10.0.0.1:443", "pods")


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, list[web.BaseRequest]]]:
    """Takes every start; what it was asked is in the list."""
    asked: list[web.BaseRequest] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        asked.append(request)
        return web.Response(status=202, headers={"Warning": '299 - "take care"'})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    await runner.cleanup()


async def invoke(*arguments: str) -> Any:
    """Run in a thread, as the program has a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def test_requests_are_made_in_the_name_of_others(server: tuple[str, list[web.BaseRequest]]) -> None:
    address, asked = server
    result = await invoke(
        *("-s", address, "--token=t", "--as=mary", "-n=a", "start", "demo"),
        *("-n", "b", "--as-group", "one", "--as-group", "two", "--as-uid=7"),
    )
    assert result.exit_code == 0, result.output
    assert "Warning: take care" in result.stderr
    (request,) = asked
    assert request.path == "/apis/subresources.kubevirt.io/v1/namespaces/b/virtualmachines/demo/start"
    assert request.headers["Authorization"] == "Bearer t"
    assert request.headers["Impersonate-User"] == "mary"
    assert request.headers["Impersonate-Uid"] == "7"
    assert request.headers.getall("Impersonate-Group") == ["one", "two"]


@pytest.mark.parametrize("stopping", [True, False])
async def test_a_start_waits_for_the_end_that_was_asked_for(stopping: bool) -> None:
    refusals = ["VM is already running", "stop/start already underway"]
    deletion = [{"deletionTimestamp": "2026-01-01T00:00:00Z"}] * 2 if stopping else [{}]

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.method == "PUT" and refusals:
            document = {"kind": "Status", "code": 409, "reason": "Conflict", "message": refusals.pop(0)}
            return web.json_response(document, status=409)
        if request.method == "GET":
            if deletion:
                return web.json_response({"metadata": deletion.pop(0)})
            return web.json_response({"kind": "Status", "code": 404, "reason": "NotFound"}, status=404)
        return web.Response(status=202)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    result = await invoke("start", "demo", "-s", f"http://127.0.0.1:{runner.addresses[0][1]}", "--token=t")
    await runner.cleanup()
    if stopping:
        assert result.exit_code == 0, result.output
        assert "Waiting for the guest of demo to shut down" in result.stderr
        assert "scheduled to start" in result.stdout
    else:
        assert result.exit_code == 1
        assert "VM is already running" in result.stderr


async def test_a_claim_for_a_dump_that_exists_is_told() -> None:
    async def answer(request: web.BaseRequest) -> web.Response:
        if request.method == "GET":
            return web.json_response({"spec": {"domain": {"memory": {"guest": "64Mi"}}}})
        return web.json_response({"kind": "Status", "code": 409, "reason": "AlreadyExists"}, status=409)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    result = await invoke("memory-dump", "get", "a", "--claim-name=c", "--create-claim", "-s", address, "--token=t")
    await runner.cleanup()
    assert result.exit_code == 1
    assert "already exists: leave out --create-claim" in result.output


async def test_a_high_verbosity_tells_requests(server: tuple[str, list[web.BaseRequest]]) -> None:
    address, _ = server
    logger = logging.getLogger("kobune.kube.client")
    before = (logger.level, list(logger.handlers))
    try:
        result = await invoke("start", "demo", "--server", address, "-v=6")
    finally:
        logger.setLevel(before[0])
        logger.handlers = before[1]
    assert f"PUT {address}/apis/subresources.kubevirt.io/v1/namespaces/default" in result.stderr
    assert " 202 in " in result.stderr
    assert "Bearer" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--as-group=a"], "add --as USER"),
        (["--client-key=/k"], "give both"),
        (["--username=a"], "give both"),
        (["--certificate-authority=/does/not/exist"], "--certificate-authority: cannot read /does/not/exist"),
        (["--insecure-skip-tls-verify=true", "--certificate-authority=/x"], "exclude each other"),
        (["--context=nine"], "nine"),
        (["--cluster=nine"], "there are one, two"),
        (["--user=nine"], "there are me, you"),
    ],
)
def test_what_does_not_go_together_is_told(kubeconfig: Path, arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["start", "demo", f"--kubeconfig={kubeconfig}", *arguments])
    assert result.exit_code == 1
    assert told in result.output
