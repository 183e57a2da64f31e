"""The official `openai` package, responses, unmodified."""

import json

import openai
from pydantic import BaseModel
from scenarios import GATES, OWNER, TOOL_NAMES, equal, hidden, raised, run_all, scenario

BEFORE = "The plan is simple. "
TOOLS = [
    {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}, "strict": False}
    for name in TOOL_NAMES
]


def client(headers=OWNER, kind=openai.OpenAI, gate="responses"):
    return kind(api_key="none", base_url=GATES[gate] + "/v1", default_headers=headers, max_retries=0)


def complete(mode, said, **more):
    """The whole answer: unary, or by the SDK's stream accumulator."""
    body = {"model": "m", "input": said, "tools": TOOLS, **more}
    if mode == "unary":
        return client().responses.create(**body)
    with client().responses.stream(**body) as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


def echoed(said, answer, *more):
    return [
        {"role": "user", "content": said},
        *[item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output],
        *more,
    ]


@scenario("answers, unary and streamed, every snapshot in agreement")
def _():
    for mode in ("unary", "streamed"):
        answer = complete(mode, "Hello there.")
        equal((answer.output_text, answer.status), ("You said: Hello there.", "completed"))


@scenario("answers the asynchronous client, unary and streamed")
async def _():
    async with client(kind=openai.AsyncOpenAI) as one:
        equal((await one.responses.create(model="m", input="Hello.")).output_text, "You said: Hello.")
        async with one.responses.stream(model="m", input="Hello.") as stream:
            equal((await stream.get_final_response()).output_text, "You said: Hello.")


@scenario("a refusal is PermissionDeniedError")
def _():
    raised(openai.PermissionDeniedError, lambda: client(headers={}).responses.create(model="m", input="hi"))
    error = raised(openai.PermissionDeniedError, lambda: complete("unary", "the secret plan"))
    assert "convoy" not in str(error)


@scenario("an abort in mid-stream is APIError, after the text before it")
def _():
    text = []

    def read():
        for event in client().responses.create(model="m", input="the secret plan", stream=True):
            if event.type == "response.output_text.delta":
                text.append(event.delta)

    error = raised(openai.APIError, read)
    equal("".join(text), BEFORE)
    equal((error.body["type"], error.code), ("signet_refusal", "marker"))


@scenario("the stream accumulator raises for an abort")
def _():
    raised(openai.APIError, lambda: complete("streamed", "the secret plan"))


@scenario("a redaction arrives within the accumulated text")
def _():
    for mode in ("unary", "streamed"):
        equal(complete(mode, "the key").output_text, "use [REDACTED] now")


@scenario("an allowed call is run and its result reported")
def _():
    for mode in ("unary", "streamed"):
        first = complete(mode, "get_weather()")
        (call,) = [item for item in first.output if item.type == "function_call"]
        equal((call.name, json.loads(call.arguments)), ("get_weather", {"city": "get_weather-arg"}))
        result = {"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"}
        second = complete(mode, echoed("get_weather()", first, result))
        equal(second.output_text, "The tool answered: 12 degrees")


@scenario("a refused call reads as text and may be echoed back")
def _():
    for mode in ("unary", "streamed"):
        first = complete(mode, "delete_account()")
        assert not [item for item in first.output if item.type == "function_call"]
        assert "signet refused the tool call delete_account" in first.output_text
        second = complete(mode, echoed("delete_account()", first, {"role": "user", "content": "Goodbye."}))
        equal(second.output_text, "You said: Goodbye.")


@scenario("the other calls of the turn are delivered, whichever is refused")
def _():
    for mode in ("unary", "streamed"):
        for names in (
            ["format_disk", "get_weather", "search_orders"],
            ["get_weather", "format_disk", "search_orders"],
            ["get_weather", "search_orders", "delete_account"],
        ):
            asked = " ".join(f"{name}()" for name in names)
            first = complete(mode, asked)
            calls = [item for item in first.output if item.type == "function_call"]
            equal([c.name for c in calls], [n for n in names if n in ("get_weather", "search_orders")])
            results = [{"type": "function_call_output", "call_id": c.call_id, "output": "done"} for c in calls]
            assert "done" in complete(mode, echoed(asked, first, *results)).output_text


@scenario("a held call is 202, and an answer without output to the SDK")
def _():
    body = {"model": "m", "input": "issue_refund()", "tools": TOOLS}
    raw = client().responses.with_raw_response.create(**body)
    equal((raw.status_code, json.loads(raw.text)["status"]), (202, "escalated"))
    assert not client().responses.create(**body).output


@scenario("a held call ends a stream in APIError, and no call comes")
def _():
    seen = []

    def read():
        with client().responses.stream(model="m", input="issue_refund()", tools=TOOLS) as stream:
            for event in stream:
                seen.append(event.type)

    error = raised(openai.APIError, read)
    equal(error.code, "escalated")
    assert not [kind for kind in seen if "function_call" in kind]


class Count(BaseModel):
    n: int


@scenario("structured output is parsed")
def _():
    said = hidden('{"n":7}')
    equal(client().responses.parse(model="m", input=said, text_format=Count).output_parsed, Count(n=7))
    with client().responses.stream(model="m", input=said, text_format=Count) as stream:
        equal(stream.get_final_response().output_parsed, Count(n=7))


run_all()
