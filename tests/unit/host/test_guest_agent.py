"""The guest agent's answers are decoded into closed shapes; a hostile guest gets nowhere."""

import json
from typing import Any

import pytest

from kobune.host.guestagent.agent import MAX_ANSWER_BYTES, AgentAnswerInvalid, GuestAgent


def agent(answer: str, asked: list[dict[str, Any]] | None = None) -> GuestAgent:
    async def transport(text: str) -> str:
        if asked is not None:
            asked.append(json.loads(text))
        return answer

    return GuestAgent(transport)


async def test_interfaces_with_what_the_guest_leaves_out() -> None:
    answer = json.dumps(
        {
            "return": [
                {"name": "lo"},
                {
                    "name": "eth0",
                    "hardware-address": "02:00:00:00:00:01",
                    "ip-addresses": [{"ip-address": "10.0.2.2", "prefix": 24, "ip-address-type": "ipv4"}],
                    "statistics": {"rx-bytes": 1},
                },
            ]
        }
    )
    lo, eth0 = await agent(answer).interfaces()
    assert (lo.name, lo.ip_addresses) == ("lo", [])
    assert (eth0.hardware_address, eth0.ip_addresses[0].ip_address) == ("02:00:00:00:00:01", "10.0.2.2")


async def test_commands_are_those_of_the_protocol() -> None:
    asked: list[dict[str, Any]] = []
    await agent('{"return":{"version":"7.2","supported_commands":[{"name":"guest-ping"}]}}', asked).info()
    assert await agent('{"return":{"pid":9}}', asked).exec(["/bin/ls", "-l"]) == 9
    status = await agent('{"return":{"exited":true,"exitcode":1,"err-data":"eA=="}}', asked).exec_status(9)
    assert (status.exited, status.exitcode, status.err_data) == (True, 1, "eA==")
    assert await agent('{"return":"frozen"}', asked).fsfreeze_status() == "frozen"
    assert asked == [
        {"execute": "guest-info"},
        {"execute": "guest-exec", "arguments": {"path": "/bin/ls", "arg": ["-l"], "capture-output": True}},
        {"execute": "guest-exec-status", "arguments": {"pid": 9}},
        {"execute": "guest-fsfreeze-status"},
    ]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"return": 7}',
        '{"return": [[]]}',
        '{"return": [{"name": 7}]}',
        '{"return": [{"name": "eth0", "ip-addresses": "many"}]}',
        '{"error": {"class": "GenericError"}}',
        '{"return": [' + "[" * 5000,
        '"' + "x" * MAX_ANSWER_BYTES + '"',
    ],
)
async def test_an_answer_that_is_none_is_an_error_and_nothing_else(answer: str) -> None:
    with pytest.raises(AgentAnswerInvalid):
        await agent(answer).interfaces()
