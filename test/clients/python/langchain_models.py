"""`ChatOpenAI` and `ChatAnthropic` of Python's LangChain, pointed at the gate."""

import anthropic
import openai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from scenarios import GATES, OWNER, demo, equal, hidden, raised, run_all, scenario

BEFORE = "The plan is simple. "


@tool
def get_weather(city: str) -> str:
    """Current weather of a city."""
    return "12 degrees"


@tool
def delete_account(account: str) -> str:
    """Delete an account."""
    raise AssertionError("must not run")


@tool
def issue_refund(account: str) -> str:
    """Pay money back."""
    raise AssertionError("must not run")


TOOLS = [get_weather, delete_account, issue_refund]


def chat(headers=OWNER, gate="chat", **more):
    return ChatOpenAI(
        model="demo", api_key="none", base_url=GATES[gate] + "/v1", default_headers=headers, max_retries=0, **more
    )


def claude(headers=OWNER, gate="messages", **more):
    return ChatAnthropic(
        model="claude",
        max_tokens=64,
        api_key="none",
        base_url=GATES[gate],
        default_headers=headers,
        max_retries=0,
        **more,
    )


#: What each model is asked for, and the errors of its SDK.
MODELS = (
    {
        "make": chat,
        "hello": ("Say hello", "Hello."),
        "leak": "Tell me the secret plan",
        "call": {
            "get_weather": "What is the weather in Oslo?",
            "delete_account": "Please delete account 77",
            "issue_refund": "Please refund 50000 to account X",
        },
        "sdk": openai,
        "limited": "limited_langchain",
        "typed": "typed",
    },
    {
        "make": claude,
        "hello": ("say: Hello.", "Hello."),
        "leak": hidden("The plan is simple. SECRET//NOFORN convoy at dawn."),
        "call": {name: f"call: {name}" for name in ("get_weather", "delete_account", "issue_refund")},
        "sdk": anthropic,
        "limited": "messages_limited_langchain",
        "typed": "messages_typed",
    },
)


def streamed(model, messages):
    whole = None
    for chunk in model.stream(messages):
        whole = chunk if whole is None else whole + chunk
    return whole


@scenario("answers, unary and streamed")
def _():
    for m in MODELS:
        asked, expected = m["hello"]
        equal(m["make"]().invoke(asked).text, expected)
        equal(streamed(m["make"](), asked).text, expected)


@scenario("answers asynchronously, unary and streamed")
async def _():
    for m in MODELS:
        asked, expected = m["hello"]
        equal((await m["make"]().ainvoke(asked)).text, expected)
        equal("".join([chunk.text async for chunk in m["make"]().astream(asked)]), expected)


@scenario("a receipt is in the response's metadata, where the model offers headers")
def _():
    answer = chat(include_response_headers=True).invoke("Say hello")
    equal(answer.response_metadata["headers"]["x-signet-receipt"].count("."), 2)


@scenario("a refusal is the SDK's PermissionDeniedError")
def _():
    for m in MODELS:
        kind = m["sdk"].PermissionDeniedError
        raised(kind, lambda: m["make"](headers={}).invoke(m["hello"][0]))
        error = raised(kind, lambda: m["make"]().invoke(m["leak"]))
        assert "convoy" not in str(error)


@scenario("an abort in mid-stream is the SDK's APIError, after the text before it")
def _():
    for m in MODELS:
        text = []

        def read():
            for chunk in m["make"]().stream(m["leak"]):
                text.append(chunk.text)

        raised(m["sdk"].APIError, read)
        equal("".join(text), BEFORE)


@scenario("an allowed call is run and its result reported")
def _():
    for m in MODELS:
        for complete in (lambda model, messages: model.invoke(messages), streamed):
            model = m["make"]().bind_tools(TOOLS)
            question = HumanMessage(m["call"]["get_weather"])
            first = complete(model, [question])
            (call,) = first.tool_calls
            result = get_weather.invoke(call)
            assert isinstance(result, ToolMessage)
            assert "12 degrees" in complete(model, [question, first, result]).text


@scenario("a refused call reads as text and may be echoed back")
def _():
    for m in MODELS:
        for complete in (lambda model, messages: model.invoke(messages), streamed):
            model = m["make"]().bind_tools(TOOLS)
            question = HumanMessage(m["call"]["delete_account"])
            first = complete(model, [question])
            equal(first.tool_calls, [])
            assert "signet refused the tool call delete_account" in first.text
            equal(complete(model, [question, first, HumanMessage(m["hello"][0])]).text, m["hello"][1])


@scenario("a held call ends a stream in the SDK's APIError, and no call comes")
def _():
    for m in MODELS:
        calls = []

        def read():
            for chunk in m["make"]().bind_tools(TOOLS).stream(m["call"]["issue_refund"]):
                calls.extend(chunk.tool_call_chunks)

        raised(m["sdk"].APIError, read)
        equal(calls, [])


@scenario("a held call is the SDK's PermissionDeniedError where the operator wants it")
def _():
    for m in MODELS:
        model = m["make"](gate=m["typed"]).bind_tools(TOOLS)
        raised(m["sdk"].PermissionDeniedError, lambda: model.invoke(m["call"]["issue_refund"]))


@scenario("a held call, unary, is an error and never a call")
def _():
    for m in MODELS:
        try:
            answer = m["make"]().bind_tools(TOOLS).invoke(m["call"]["issue_refund"])
        except Exception:
            continue
        equal((answer.tool_calls, answer.text), ([], ""))


@scenario("a rate limit is the SDK's RateLimitError")
def _():
    for m in MODELS:
        model = m["make"](gate=m["limited"])
        model.invoke(m["hello"][0])
        raised(m["sdk"].RateLimitError, lambda: model.invoke(m["hello"][0]))


class Count(BaseModel):
    """A number."""

    n: int


@scenario("structured output is parsed")
def _():
    model = chat(extra_body={"metadata": demo('{"n":7}')})
    equal(model.with_structured_output(Count, method="json_schema").invoke("hi"), Count(n=7))
    model = claude()
    equal(model.with_structured_output(Count, method="json_schema").invoke(hidden('{"n":7}')), Count(n=7))


run_all()
