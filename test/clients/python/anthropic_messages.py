"""The official `anthropic` package, unmodified."""

import json

import anthropic
from pydantic import BaseModel
from scenarios import GATES, OWNER, TOOL_NAMES, araised, equal, hidden, raised, run_all, scenario

BEFORE = "The plan is simple. "
LEAK = hidden("The plan is simple. SECRET//NOFORN convoy at dawn.")
TOOLS = [{"name": name, "input_schema": {"type": "object", "properties": {}}} for name in TOOL_NAMES]


def client(gate="messages", headers=OWNER, kind=anthropic.Anthropic, **more):
    return kind(
        api_key="none", base_url=GATES[gate], default_headers=headers, **{"max_retries": 0, **more}
    )


def ask(*messages, **more):
    turns = [{"role": "user", "content": m} if not isinstance(m, dict) else m for m in messages]
    return {"model": "claude", "max_tokens": 64, "messages": turns, "tools": TOOLS, **more}


def complete(mode, body):
    """The whole answer: unary, or by the SDK's stream accumulator."""
    if mode == "unary":
        return client().messages.create(**body)
    with client().messages.stream(**body) as stream:
        for _ in stream:
            pass
        return stream.get_final_message()


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def calls_of(message):
    return [block for block in message.content if block.type == "tool_use"]


def echo(message):
    return {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in message.content]}


@scenario("answers, unary, with a receipt")
def _():
    raw = client().messages.with_raw_response.create(**ask("say: Hello."))
    equal(text_of(raw.parse()), "Hello.")
    equal(raw.headers["x-signet-receipt"].count("."), 2)


@scenario("answers, streamed, every snapshot in agreement")
def _():
    message = complete("streamed", ask("say: One, two, three."))
    equal((text_of(message), message.stop_reason), ("One, two, three.", "end_turn"))
    with client().messages.stream(**ask("say: One, two, three.")) as stream:
        equal("".join(stream.text_stream), "One, two, three.")


@scenario("answers the asynchronous client, unary and streamed")
async def _():
    async with client(kind=anthropic.AsyncAnthropic) as one:
        equal(text_of(await one.messages.create(**ask("say: Hello."))), "Hello.")
        async with one.messages.stream(**ask("say: Hello.")) as stream:
            equal(text_of(await stream.get_final_message()), "Hello.")


@scenario("counts tokens")
def _():
    counted = client().messages.count_tokens(model="claude", messages=[{"role": "user", "content": "Hello"}])
    assert counted.input_tokens > 0


@scenario("a refusal is PermissionDeniedError, sent once")
def _():
    sent = []
    http = anthropic.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    nobody = client(headers={}, max_retries=3, http_client=http)
    error = raised(anthropic.PermissionDeniedError, lambda: nobody.messages.create(**ask("say: Hello.")))
    equal((error.status_code, error.body["error"]["type"]), (403, "permission_error"))
    equal(error.body["check"], "owner_resolution")
    equal(len(sent), 1)


@scenario("a broken request is BadRequestError")
def _():
    raised(
        anthropic.BadRequestError, lambda: client().messages.create(model="claude", max_tokens=9, messages="hi")
    )


@scenario("an error of upstream is the SDK's own")
def _():
    error = raised(anthropic.APIStatusError, lambda: client().messages.create(**ask("fail")))
    equal((error.status_code, error.body["error"]["type"]), (529, "overloaded_error"))
    assert "signet" not in str(error)


@scenario("an abort in mid-stream is APIError, after the text before it")
def _():
    text = []

    def read():
        with client().messages.stream(**ask(LEAK)) as stream:
            for piece in stream.text_stream:
                text.append(piece)

    error = raised(anthropic.APIError, read)
    equal("".join(text), BEFORE)
    assert error.body["signet_abort"] is True
    equal((error.body["error"]["type"], error.body["stage"]), ("permission_error", "inspection"))
    assert "convoy" not in str(error.body)


@scenario("an abort ends the asynchronous client's stream too")
async def _():
    text = []

    async def read():
        async with client(kind=anthropic.AsyncAnthropic) as one:
            async with one.messages.stream(**ask(LEAK)) as stream:
                async for piece in stream.text_stream:
                    text.append(piece)

    await araised(anthropic.APIError, read)
    equal("".join(text), BEFORE)


@scenario("the same refusal, unary, is PermissionDeniedError")
def _():
    error = raised(anthropic.PermissionDeniedError, lambda: client().messages.create(**ask(LEAK)))
    assert "convoy" not in str(error)


@scenario("a redaction arrives within the accumulated text")
def _():
    for mode in ("unary", "streamed"):
        equal(text_of(complete(mode, ask(hidden("use sk-test-abcdefgh1234 now")))), "use [REDACTED] now")


@scenario("thinking and its signature come through and go back")
def _():
    for mode in ("unary", "streamed"):
        first = complete(mode, ask("think: Two and two."))
        equal((first.content[0].type, first.content[0].thinking), ("thinking", "Two and two."))
        assert first.content[0].signature
        equal(text_of(complete(mode, ask("think: Two and two.", echo(first), "say: Four."))), "Four.")


@scenario("an allowed call is run and its result reported")
def _():
    for mode in ("unary", "streamed"):
        first = complete(mode, ask("call: get_weather"))
        equal(first.stop_reason, "tool_use")
        (call,) = calls_of(first)
        equal((call.name, call.input), ("get_weather", {"city": "get_weather-arg"}))
        result = [{"type": "tool_result", "tool_use_id": call.id, "content": "12 degrees"}]
        second = complete(mode, ask("call: get_weather", echo(first), {"role": "user", "content": result}))
        equal(text_of(second), "The tools said 12 degrees.")


@scenario("a refused call reads as text and may be echoed back")
def _():
    for mode in ("unary", "streamed"):
        first = complete(mode, ask("call: delete_account"))
        equal((first.stop_reason, calls_of(first)), ("end_turn", []))
        assert "signet refused the tool call delete_account" in text_of(first)
        equal(text_of(complete(mode, ask("call: delete_account", echo(first), "say: Never mind."))), "Never mind.")


@scenario("the other calls of the turn are delivered, whichever is refused")
def _():
    for mode in ("unary", "streamed"):
        for names in (
            ["delete_account", "get_weather", "search_orders"],
            ["get_weather", "delete_account", "search_orders"],
            ["get_weather", "search_orders", "format_disk"],
        ):
            asked = "call: " + " ".join(names)
            first = complete(mode, ask(asked))
            allowed = [n for n in names if n in ("get_weather", "search_orders")]
            equal([(c.name, c.input) for c in calls_of(first)], [(n, {"city": f"{n}-arg"}) for n in allowed])
            results = [{"type": "tool_result", "tool_use_id": c.id, "content": "done"} for c in calls_of(first)]
            second = complete(mode, ask(asked, echo(first), {"role": "user", "content": results}))
            assert "done" in text_of(second)


@scenario("a held call is 202, and an answer without content to the SDK")
def _():
    raw = client().messages.with_raw_response.create(**ask("call: issue_refund"))
    equal((raw.status_code, json.loads(raw.text() if callable(raw.text) else raw.text)["status"]), (202, "escalated"))
    assert not client().messages.create(**ask("call: issue_refund")).content


@scenario("a held call ends a stream in APIError, and no call comes")
def _():
    blocks = []

    def read():
        with client().messages.stream(**ask("call: get_weather issue_refund")) as stream:
            for event in stream:
                if event.type == "content_block_stop" and event.content_block.type == "tool_use":
                    blocks.append(event.content_block.name)

    error = raised(anthropic.APIError, read)
    assert error.body["escalation_id"]
    assert "issue_refund" not in blocks


@scenario("a held call is PermissionDeniedError where the operator wants it")
def _():
    one = client("messages_typed")
    error = raised(anthropic.PermissionDeniedError, lambda: one.messages.create(**ask("call: issue_refund")))
    assert error.body["escalation_id"]


@scenario("a rate limit is RateLimitError, with the time to wait")
def _():
    one = client("messages_limited")
    one.messages.create(**ask("say: Hello."))
    error = raised(anthropic.RateLimitError, lambda: one.messages.create(**ask("say: Hello.")))
    assert 90 < int(error.response.headers["retry-after"]) <= 101
    assert error.response.headers.get("x-should-retry") != "false"


class Count(BaseModel):
    n: int


@scenario("structured output is parsed")
def _():
    body = {"model": "claude", "max_tokens": 64, "messages": [{"role": "user", "content": hidden('{"n":7}')}]}
    equal(client().messages.parse(**body, output_format=Count).parsed_output, Count(n=7))
    with client().messages.stream(**body, output_format=Count) as stream:
        equal(stream.get_final_message().parsed_output, Count(n=7))


run_all()
