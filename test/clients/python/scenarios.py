"""Scenarios as functions with a title; one line of JSON for each on standard output."""

import asyncio
import inspect
import json
import os
import traceback

GATES = json.loads(os.environ["SIGNET_GATES"])
OWNER = {"X-Commit-Owner": "human:alice@example.com"}
TOOL_NAMES = ["get_weather", "search_orders", "issue_refund", "delete_account", "format_disk"]
_scenarios = []


def scenario(title):
    def add(run):
        _scenarios.append((title, run))
        return run

    return add


def hidden(said):
    """What a model is to say, hidden from the checks of the request."""
    return "hex: " + said.encode().hex()


def demo(answer):
    """What chat's demo model is to answer, in letters that no check reads."""
    letters = lambda text: "".join(f"\\u{ord(c):04x}" for c in text)
    place = {"kind": "place", "place": "content", "text": answer, "chunk": 2}
    pairs = (f'"{k}":' + (str(v) if isinstance(v, int) else f'"{v if k == "kind" else letters(v)}"') for k, v in place.items())
    return {"signet_demo": "{" + ",".join(pairs) + "}"}


def raised(kind, run):
    """The exception of exactly this class (or one below it) that `run` ends in."""
    try:
        run()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, nothing was raised")


async def araised(kind, run):
    try:
        await run()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, nothing was raised")


def equal(got, expected):
    assert got == expected, f"expected {expected!r}, got {got!r}"


def run_all():
    for title, run in _scenarios:
        said = {"title": title}
        try:
            result = run()
            if inspect.iscoroutine(result):
                asyncio.run(result)
        except Exception:
            said["error"] = traceback.format_exc()
        print(json.dumps(said), flush=True)
