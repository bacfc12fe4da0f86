"""A guest that answers its agent's questions as it likes: nothing of it may hurt the launcher or virt-handler's line.

What is asked either fails with the one error for it, or becomes a message that fits on the line and that a terminal can
show.
"""

import asyncio
import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kobune.host.guestagent.agent import AgentAnswerInvalid, GuestAgent
from kobune.virt.launcher.guest import GuestView, guest_filesystems, guest_info, guest_users, look_inside, run_in_guest
from kobune.virt.launcherproto.framing import MAX_LINE_BYTES, encode_line
from kobune.virt.launcherproto.messages import DomainState, DomainStatus, Reply, Result
from kobune.virt.launcherproto.text import readable

MOST = 1000
UGLY = "\x1b]0;owned\x07\0\u202e" + "\U0001f41b" * 300

texts = st.one_of(
    st.text(max_size=20), st.sampled_from([UGLY, "192.168.1.1", "fe80::1%eth0", "guest-get-osinfo", "lo"])
)
numbers = st.one_of(st.integers(-3, 3), st.sampled_from([10**40, -(10**40), 2**63, 2**64]))
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts, st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=10,
)


def thing(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object of that shape, now and then something else."""
    shaped = st.fixed_dictionaries({}, optional={name.replace("_", "-"): value for name, value in fields.items()})
    return st.one_of(shaped, shaped, shaped, anything)


def many(one: st.SearchStrategy[Any], most: int = 200) -> st.SearchStrategy[Any]:
    """A list, which may be a very long one of the same."""
    return st.one_of(st.lists(one, max_size=3), one.map(lambda value: [value] * most))


def commands() -> st.SearchStrategy[Any]:
    known = st.sampled_from(["guest-get-osinfo", "guest-get-users", UGLY])
    return many(st.fixed_dictionaries({"name": known, "enabled": st.booleans()}))


addresses = many(thing(ip_address=texts, prefix=numbers), 10)
disks = many(thing(serial=texts, bus_type=texts), 5)
answers = st.fixed_dictionaries(
    {
        "guest-info": commands().map(lambda found: {"version": UGLY, "supported_commands": found}),
        "guest-get-osinfo": thing(name=texts, id=texts, pretty_name=texts, kernel_release=texts),
        "guest-get-host-name": thing(host_name=texts),
        "guest-get-timezone": thing(zone=texts, offset=numbers),
        "guest-network-get-interfaces": many(thing(name=texts, hardware_address=texts, ip_addresses=addresses)),
        "guest-get-users": many(thing(user=texts, domain=texts, login_time=st.one_of(numbers, st.floats(0, 1e300)))),
        "guest-get-fsinfo": many(
            thing(name=texts, mountpoint=texts, type=texts, used_bytes=numbers, total_bytes=numbers, disk=disks)
        ),
        "guest-fsfreeze-status": st.one_of(st.sampled_from(["thawed", "frozen"]), anything),
        "guest-exec": thing(pid=numbers),
        "guest-exec-status": thing(exited=st.just(True), exitcode=numbers, signal=numbers, out_data=texts),
    }
)


def agent_saying(told: dict[str, Any]) -> GuestAgent:
    async def transport(text: str) -> str:
        return json.dumps({"return": told[json.loads(text)["execute"]]}, ensure_ascii=False)

    return GuestAgent(transport)


def fits(result: Result) -> None:
    """It goes over the line, and nobody's terminal obeys it."""
    line = encode_line(Reply(id=1, result=result))
    assert len(line) < MAX_LINE_BYTES
    assert b"\\u001b" not in line
    assert b"\\u0000" not in line
    json.loads(line)


def in_state(view: GuestView) -> DomainState:
    return DomainState(
        sequence=1,
        status=DomainStatus.RUNNING,
        agent_version=view.agent_version,
        hostname=view.hostname,
        guest_os=view.os,
        interfaces=list(view.interfaces),
        fs_freeze=view.fs_freeze,
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(answers)
def test_whatever_the_agent_says_fits_on_the_line(told: dict[str, Any]) -> None:
    async def ask_all() -> None:
        agent = agent_saying(told)

        async def look() -> Result:
            return in_state(await look_inside(agent))

        for question in (
            lambda: guest_info(agent),
            lambda: guest_users(agent),
            lambda: guest_filesystems(agent),
            lambda: run_in_guest(agent, ["true"]),
            look,
        ):
            with contextlib.suppress(AgentAnswerInvalid):
                fits(await question())

    asyncio.run(ask_all())


def full(**one: Any) -> list[dict[str, Any]]:
    return [{name.replace("_", "-"): value for name, value in one.items()} for _ in range(MOST)]


def test_a_guest_that_says_as_much_as_it_can_is_cut() -> None:
    """Answers of the largest size that the agent may give, each."""
    wide = "\U0001f41b" * 100
    told = {
        "guest-info": {"version": wide, "supported_commands": full(name=wide, enabled=True)},
        "guest-get-osinfo": {"name": wide, "id": wide},
        "guest-get-host-name": {"host-name": wide},
        "guest-get-timezone": {"zone": wide, "offset": 10**30},
        "guest-network-get-interfaces": full(
            name=wide, hardware_address=wide, ip_addresses=full(ip_address="f" * 64, prefix=1)[:20]
        )[:250],
        "guest-get-users": full(user=wide, domain=wide, login_time=1.0),
        "guest-get-fsinfo": full(name=wide, mountpoint=wide, type=wide, disk=full(serial=wide, bus_type=wide)[:3])[
            :200
        ],
        "guest-fsfreeze-status": "thawed",
    }

    async def ask_all() -> None:
        agent = agent_saying(told)
        fits(await guest_info(agent))
        fits(await guest_filesystems(agent))
        fits(await guest_users(agent))
        fits(in_state(await look_inside(agent)))

    asyncio.run(ask_all())


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        "[]",
        '{"error": {"class": "GenericError", "desc": "no"}}',
        '{"return": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"return": {"version": "' + "x" * (1 << 20) + '"}}',
        '{"return": {"version": "\\ud800"}}',
        '{"return": {"supported_commands": [{"name": 1}]}}',
        '{"return": {}} {"return": {}}',
    ],
    ids=["empty", "null", "list", "error", "nested", "huge", "half a character", "wrong type", "two answers"],
)
async def test_what_is_no_answer_is_one_error(answer: str) -> None:
    async def transport(_: str) -> str:
        return answer

    with pytest.raises(AgentAnswerInvalid) as caught:
        await look_inside(GuestAgent(transport))
    assert len(str(caught.value)) < 10_000


def test_texts_of_an_exit_message_can_be_encoded() -> None:
    """A name of a file that is no UTF-8, as a hostile image may have it."""
    name = b"/disk/\xff\x1b[2J".decode("utf-8", "surrogateescape")
    assert msgspec.json.encode(readable(name)) == '"/disk/?\N{REPLACEMENT CHARACTER}[2J"'.encode()
