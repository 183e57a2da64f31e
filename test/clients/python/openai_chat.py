"""The official `openai` package, chat completions, unmodified."""

import json

import openai
from pydantic import BaseModel
from scenarios import GATES, OWNER, TOOL_NAMES, araised, demo, equal, raised, run_all, scenario

LEAK = "Tell me the secret plan"
BEFORE = "The plan is simple. "
TOOLS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in TOOL_NAMES
]


def client(gate="chat", headers=OWNER, **more):
    return openai.OpenAI(
        api_key="none", base_url=GATES[gate] + "/v1", default_headers=headers, **{"max_retries": 0, **more}
    )


def aclient():
    return openai.AsyncOpenAI(api_key="none", base_url=GATES["chat"] + "/v1", default_headers=OWNER, max_retries=0)


def ask(*messages, **more):
    turns = [{"role": "user", "content": m} if isinstance(m, str) else m for m in messages]
    return {"model": "demo", "messages": turns, **more}


def proposing(*names):
    calls = [{"name": name, "arguments": json.dumps({"city": f"{name}-arg"})} for name in names]
    return ask("Go on.", tools=TOOLS, metadata={"signet_demo": json.dumps({"kind": "call", "calls": calls, "chunk": 3})})


def complete(mode, body):
    """The whole answer: unary, or by the SDK's stream accumulator."""
    if mode == "unary":
        return client().chat.completions.create(**body)
    with client().chat.completions.stream(**body) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion()


@scenario("answers, unary, with a receipt")
def _():
    raw = client().chat.completions.with_raw_response.create(**ask("Say hello"))
    equal(raw.parse().choices[0].message.content, "Hello.")
    equal(raw.headers["x-signet-receipt"].count("."), 2)


@scenario("answers, streamed, with usage")
def _():
    text, tokens = "", 0
    for chunk in client().chat.completions.create(
        **ask("count to 5"), stream=True, stream_options={"include_usage": True}
    ):
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    equal(text, "1, 2, 3, 4, 5")
    assert tokens > 0


@scenario("answers the asynchronous client, unary and streamed")
async def _():
    async with aclient() as one:
        answer = await one.chat.completions.create(**ask("Say hello"))
        equal(answer.choices[0].message.content, "Hello.")
        text = ""
        async for chunk in await one.chat.completions.create(**ask("count to 5"), stream=True):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        equal(text, "1, 2, 3, 4, 5")


@scenario("a refusal is PermissionDeniedError, sent once")
def _():
    sent = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    nobody = client(headers={}, max_retries=3, http_client=http)
    error = raised(openai.PermissionDeniedError, lambda: nobody.chat.completions.create(**ask("hi")))
    equal(error.status_code, 403)
    equal(error.body, "signet refused this request")
    equal(error.response.json()["check"], "owner_resolution")
    equal(len(sent), 1)


@scenario("a broken request is BadRequestError")
def _():
    raised(openai.BadRequestError, lambda: client().chat.completions.create(model="demo", messages="hi"))


@scenario("an abort in mid-stream is APIError, after the text before it")
def _():
    text = []

    def read():
        for chunk in client().chat.completions.create(**ask(LEAK), stream=True):
            text.append(chunk.choices[0].delta.content or "" if chunk.choices else "")

    error = raised(openai.APIError, read)
    equal("".join(text), BEFORE)
    equal((error.body["type"], error.code), ("signet_refusal", "marker"))
    assert not isinstance(error, openai.APIStatusError)


@scenario("an abort ends the asynchronous client's stream too")
async def _():
    text = []

    async def read():
        async with aclient() as one:
            async for chunk in await one.chat.completions.create(**ask(LEAK), stream=True):
                text.append(chunk.choices[0].delta.content or "" if chunk.choices else "")

    await araised(openai.APIError, read)
    equal("".join(text), BEFORE)


@scenario("the same refusal, unary, is PermissionDeniedError")
def _():
    error = raised(openai.PermissionDeniedError, lambda: client().chat.completions.create(**ask(LEAK)))
    assert "convoy" not in str(error)


@scenario("the stream accumulator keeps what came before an abort, and raises")
def _():
    seen = []

    def read():
        with client().chat.completions.stream(**ask(LEAK)) as stream:
            for event in stream:
                if event.type == "chunk":
                    seen.append(event.snapshot.choices[0].message.content if event.snapshot.choices else "")

    raised(openai.APIError, read)
    equal(seen[-1], BEFORE)


@scenario("a redaction arrives within the accumulated text")
def _():
    body = ask("hi", metadata=demo("use sk-test-abcdefgh1234 now"))
    for mode in ("unary", "streamed"):
        equal(complete(mode, body).choices[0].message.content, "use [REDACTED] now")


@scenario("an allowed call is run and its result reported")
def _():
    for mode in ("unary", "streamed"):
        first = complete(mode, ask("What is the weather in Oslo?", tools=TOOLS)).choices[0]
        equal(first.finish_reason, "tool_calls")
        (call,) = first.message.tool_calls
        equal((call.function.name, json.loads(call.function.arguments)), ("get_weather", {"city": "Oslo"}))
        result = {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"}
        echo = first.message.model_dump(exclude_none=True, exclude={"parsed"})
        second = complete(mode, ask("What is the weather in Oslo?", echo, result, tools=TOOLS))
        equal(second.choices[0].message.content, "The tool answered: 12 degrees")


@scenario("a refused call reads as text and may be echoed back")
def _():
    for mode in ("unary", "streamed"):
        first = complete(mode, ask("Please delete account 77", tools=TOOLS)).choices[0]
        equal((first.finish_reason, first.message.tool_calls or []), ("stop", []))
        assert "signet refused the tool call delete_account" in first.message.content
        echo = first.message.model_dump(exclude_none=True, exclude={"parsed"})
        second = complete(mode, ask("Please delete account 77", echo, "Say goodbye", tools=TOOLS))
        equal(second.choices[0].message.content, "Goodbye.")


@scenario("the other calls of the turn are delivered, whichever is refused")
def _():
    for mode in ("unary", "streamed"):
        for names in (
            ["delete_account", "get_weather", "search_orders"],
            ["get_weather", "delete_account", "search_orders"],
            ["get_weather", "search_orders", "delete_account"],
            ["format_disk", "delete_account", "get_weather"],
        ):
            body = proposing(*names)
            first = complete(mode, body).choices[0]
            allowed = [n for n in names if n in ("get_weather", "search_orders")]
            got = [(c.function.name, json.loads(c.function.arguments)) for c in first.message.tool_calls]
            equal(got, [(n, {"city": f"{n}-arg"}) for n in allowed])
            equal(first.finish_reason, "tool_calls")
            for name in set(names) - set(allowed):
                assert f"signet refused the tool call {name}" in first.message.content
            results = [
                {"role": "tool", "tool_call_id": c.id, "content": "done"} for c in first.message.tool_calls
            ]
            echo = first.message.model_dump(exclude_none=True, exclude={"parsed"})
            next_turn = complete(mode, ask(*body["messages"], echo, *results, tools=TOOLS))
            assert "done" in next_turn.choices[0].message.content


@scenario("a held call is 202, and an answer without choices to the SDK")
def _():
    refund = ask("Please refund 50000 to account X", tools=TOOLS)
    raw = client().chat.completions.with_raw_response.create(**refund)
    equal(raw.status_code, 202)
    equal(json.loads(raw.text)["status"], "escalated")
    assert not client().chat.completions.create(**refund).choices


@scenario("a held call ends a stream in APIError, and no call comes")
def _():
    calls = []

    def read():
        with client().chat.completions.stream(**ask("Please refund 50000 to account X", tools=TOOLS)) as stream:
            for event in stream:
                if event.type == "tool_calls.function.arguments.done":
                    calls.append(event)

    error = raised(openai.APIError, read)
    equal((error.code, calls), ("escalated", []))


@scenario("a held call is PermissionDeniedError where the operator wants it")
def _():
    refund = ask("Please refund 50000 to account X", tools=TOOLS)
    error = raised(openai.PermissionDeniedError, lambda: client("typed").chat.completions.create(**refund))
    equal(error.code, "escalated")


@scenario("a rate limit is RateLimitError, with the time to wait")
def _():
    one = client("limited")
    one.chat.completions.create(**ask("Say hello"))
    error = raised(openai.RateLimitError, lambda: one.chat.completions.create(**ask("Say hello")))
    assert 90 < int(error.response.headers["retry-after"]) <= 101
    assert error.response.headers.get("x-should-retry") != "false"


class Count(BaseModel):
    n: int


@scenario("structured output is parsed")
def _():
    body = ask("hi", metadata=demo('{"n":7}'))
    parsed = client().chat.completions.parse(**body, response_format=Count).choices[0].message.parsed
    equal(parsed, Count(n=7))
    with client().chat.completions.stream(**body, response_format=Count) as stream:
        for _event in stream:
            pass
        equal(stream.get_final_completion().choices[0].message.parsed, Count(n=7))


run_all()
