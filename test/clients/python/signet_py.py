"""What people who come from the Python implementation have: its `wrap_openai` and its headers."""

import openai
from scenarios import GATES, equal, raised, run_all, scenario
from signet.adapters.openai import wrap_openai


class Settable(openai.OpenAI):
    """A client as that wrapper expects one: with default headers that can be set. The real one's are read-only."""

    @property
    def default_headers(self):
        return super().default_headers

    @default_headers.setter
    def default_headers(self, headers):
        self._custom_headers = headers


def wrapped(**identity):
    return wrap_openai(
        Settable(api_key="none", max_retries=0, base_url="https://api.openai.example/v1"),
        signet_url=GATES["chat"] + "/v1",
        **identity,
    )


HELLO = {"model": "demo", "messages": [{"role": "user", "content": "Say hello"}]}


@scenario("wrap_openai fails on a genuine client, as it always did")
def _():
    one = openai.OpenAI(api_key="none")
    raised(AttributeError, lambda: wrap_openai(one, signet_url=GATES["chat"] + "/v1", owner="human:a@example.com"))


@scenario("its headers are understood, each of them")
def _():
    one = wrapped(
        owner="human:alice@example.com",
        agent_id="agent:triage",
        policy="nightly",
        classification="UNCLASS",
        clearance="SECRET",
        session_id="s-1",
    )
    raw = one.chat.completions.with_raw_response.create(**HELLO)
    equal(raw.parse().choices[0].message.content, "Hello.")
    assert raw.headers["x-signet-receipt"]


@scenario("a classification above the clearance is refused with its body's fields")
def _():
    one = wrapped(owner="human:alice@example.com", classification="SECRET", clearance="UNCLASS")
    error = raised(openai.PermissionDeniedError, lambda: one.chat.completions.create(**HELLO))
    body = error.response.json()
    equal(set(body), {"error", "reason", "check", "stage", "correlation_id"})
    equal((body["error"], body["check"]), ("signet refused this request", "classification_gate"))


run_all()
