"""An executor in Python: verifies a capability with PyJWT, uses it up at the gate, and only then runs the tool.

    pip install 'pyjwt[crypto]'
    GATE=https://gate.example AUDIENCE=https://pay.example REDEEM_SECRET=... python3 executor.py

`verify` is the whole recipe; the server below it is an example. The rules are those of `signet-gate/capability`: one
algorithm, an exact type, issuer and audience, keys from configuration and never from the token, arguments that are I-JSON
(RFC 7493) compared by their RFC 8785 form, and one use, remembered before the tool runs.
"""
import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

try:
    import cryptography  # noqa: F401  PyJWT verifies EdDSA with it
    import jwt
except ImportError as missing:
    sys.exit(f"{missing.name} is not installed; run: pip install 'pyjwt[crypto]'")

TYP = "signet-capability+jwt"
SKEW_S = 5
MAX_BYTES = 1024 * 1024
FORBIDDEN = {"jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256", "crit", "b64", "zip"}
TEXT_CLAIMS = ("iss", "sub", "aud", "jti", "tool", "args", "call", "exchange")


class Refused(Exception):
    """The call is not permitted; its text is a stable code."""


# --- arguments: I-JSON, and its one spelling -------------------------------------------------------------------------


def read_arguments(text):
    """The arguments as one value, or Refused. Empty text is {}: models leave out empty arguments."""
    if text == "":
        return {}
    try:
        value = json.loads(
            text, object_pairs_hook=_members, parse_float=_number, parse_int=_number, parse_constant=_constant
        )
        _check(value, 0)
    except (ValueError, RecursionError):
        raise Refused("arguments_ambiguous") from None
    if not isinstance(value, dict):
        raise Refused("arguments_ambiguous")
    return value


def _members(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key that stands there twice")
    return members


def _number(raw):
    """RFC 7493 section 2.2: the decimal that is written and the shortest decimal of the double are the same number."""
    value = float(raw)
    if value in (float("inf"), float("-inf")) or Decimal(raw) != Decimal(repr(value)):
        raise ValueError("a number that a double does not hold")
    return int(value) if value.is_integer() and abs(value) <= 2**53 else value


def _constant(_name):
    raise ValueError("not JSON")


def _check(value, depth):
    if isinstance(value, str):
        for c in map(ord, value):
            if 0xD800 <= c <= 0xDFFF or 0xFDD0 <= c <= 0xFDEF or c & 0xFFFE == 0xFFFE:
                raise ValueError("a surrogate or a non-character")
    elif isinstance(value, (dict, list)):
        if depth >= 64:
            raise ValueError("too deep")
        for item in value:
            _check(item, depth + 1)
        if isinstance(value, dict):
            for item in value.values():
                _check(item, depth + 1)


def canonical(value):
    """RFC 8785."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (int, float)):
        return _es_number(float(value))
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    # Section 3.2.3: members in the order of their UTF-16 code units.
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"


def _es_number(value):
    """ECMAScript's Number::toString, from Python's repr: both give the shortest digits that read back."""
    if value == 0:
        return "0"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    point = len(digits) + exponent
    k = len(text)
    if k <= point <= 21:
        body = text + "0" * (point - k)
    elif 0 < point <= 21:
        body = text[:point] + "." + text[point:]
    elif -6 < point <= 0:
        body = "0." + "0" * -point + text
    else:
        rest = "." + text[1:] if k > 1 else ""
        body = f"{text[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return "-" + body if sign else body


# --- the capability --------------------------------------------------------------------------------------------------


def verify(token, tool, arguments_text, *, jwks, issuer, audience, use, now=time.time, allow_shadow=False):
    """(claims, arguments) of a call that is permitted, or Refused. `use(claims, token)` is True for the first use only."""
    claims = _claims(token, jwks)
    if claims["iss"] != issuer:
        raise Refused("issuer_wrong")
    if claims["aud"] != audience:
        raise Refused("audience_wrong")
    at = now()
    if not at >= claims["nbf"] - SKEW_S:
        raise Refused("not_yet_valid")
    if not at < claims["exp"]:
        raise Refused("expired")
    if claims.get("shadow") is not None and not allow_shadow:
        raise Refused("shadow_refused")
    if claims["tool"] != tool:
        raise Refused("tool_wrong")
    arguments = read_arguments(arguments_text)
    digest = "sha256:" + hashlib.sha256(canonical(arguments).encode()).hexdigest()
    if digest != claims["args"]:
        raise Refused("arguments_mismatch")
    try:
        first = use(claims, token)
    except Exception:
        raise Refused("replay_unavailable") from None
    if first is not True:
        raise Refused("already_used")
    return claims, arguments


def _claims(token, jwks):
    if not isinstance(token, str) or token == "" or len(token) > 16384:
        raise Refused("capability_malformed")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise Refused("capability_malformed") from None
    if header.get("typ") != TYP:
        raise Refused("capability_typ_wrong")
    if header.get("alg") != "EdDSA":
        raise Refused("capability_alg_not_allowed")
    if FORBIDDEN & header.keys():
        raise Refused("capability_header_forbidden")
    keys = [key for key in jwks["keys"] if key.get("kid") == header.get("kid")]
    if len(keys) != 1:
        raise Refused("key_unknown")
    # The gate says what each key is for: one that signs receipts proves no capability.
    if keys[0].get("crv") != "Ed25519" or keys[0].get("signet_purpose", "capabilities") != "capabilities":
        raise Refused("key_unusable")
    try:
        # Issuer, audience and time are compared above, by one exact rule.
        claims = jwt.decode(
            token,
            jwt.PyJWK(keys[0], "EdDSA").key,
            algorithms=["EdDSA"],
            options={"verify_aud": False, "verify_iss": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError:
        raise Refused("capability_signature_invalid") from None
    times = [claims.get("nbf"), claims.get("exp")]
    if (
        not all(isinstance(claims.get(name), str) and claims[name] for name in TEXT_CLAIMS)
        or not all(type(t) is int and t >= 0 for t in times)
        or not 0 < times[1] - times[0] <= 3600
        or claims.get("shadow") not in (None, True)
    ):
        raise Refused("claims_malformed")
    return claims


# --- one use, at the gate --------------------------------------------------------------------------------------------


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args):
        return None


class Gate:
    """The gate's key set and its redeem endpoint. https, or plain http on the loopback."""

    def __init__(self, url, secret):
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")):
            raise ValueError("expected https for the gate (plain http is for the loopback only)")
        self._url, self._secret = url.rstrip("/"), secret
        # No proxy of the environment, no redirects: this is where trust comes from.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect()).open

    def jwks(self):
        with self._open(self._url + "/.well-known/jwks.json", timeout=5) as answer:
            return json.loads(answer.read(65536))

    def use(self, claims, token):
        status, body = self._post("/signet/v1/redeem", {"capability": token})
        if status == 409:
            return False
        if status == 200 and body.get("status") == "redeemed" and body.get("jti") == claims["jti"]:
            return True
        raise OSError(f"expected 200 or 409 from the redeem endpoint, got {status}")

    def report(self, claims, ok):
        return self._post(f"/signet/v1/redeem/{claims['jti']}/outcome", {"ok": ok})[0]

    def _post(self, path, body):
        request = urllib.request.Request(
            self._url + path,
            data=json.dumps(body).encode(),
            headers={"authorization": f"Bearer {self._secret}", "content-type": "application/json"},
        )
        try:
            with self._open(request, timeout=5) as answer:
                return answer.status, json.loads(answer.read(65536))
        except urllib.error.HTTPError as error:
            return error.code, {}


# --- an executor -----------------------------------------------------------------------------------------------------


def main():
    missing = [name for name in ("GATE", "AUDIENCE", "REDEEM_SECRET") if not os.environ.get(name)]
    if missing:
        sys.exit(f"{missing[0]} is not set; it needs GATE, AUDIENCE and REDEEM_SECRET")
    try:
        gate = Gate(os.environ["GATE"], os.environ["REDEEM_SECRET"])
        # Pinned for the life of the process: after a rotation, restart it or fetch the set again.
        keys = gate.jwks()
    except (OSError, ValueError) as error:
        sys.exit(f"GATE: no key set from {os.environ['GATE']}/.well-known/jwks.json ({error}); is the gate running?")
    rules = {
        "jwks": keys,
        "issuer": os.environ.get("ISSUER", "signet"),
        "audience": os.environ["AUDIENCE"],
        "use": gate.use,
    }
    tools = {"/issue_refund": ("issue_refund", lambda arguments: {"refunded": arguments["amount"]})}

    class Executor(BaseHTTPRequestHandler):
        def do_POST(self):
            tool, run = tools.get(self.path, (None, None))
            size = int(self.headers.get("content-length") or 0)
            if tool is None or not 0 <= size <= MAX_BYTES:
                return self._answer(404, {"error": "not found"})
            body = self.rfile.read(size)
            try:
                text = body.decode("utf-8")
                claims, arguments = verify(self.headers.get("x-signet-capability"), tool, text, **rules)
            except UnicodeDecodeError:
                return self._answer(403, {"error": "capability_refused", "code": "arguments_ambiguous"})
            except Refused as refused:
                status = 503 if str(refused) == "replay_unavailable" else 403
                return self._answer(status, {"error": "capability_refused", "code": str(refused)})
            result = run(arguments)
            gate.report(claims, True)
            return self._answer(200, result)

        def _answer(self, status, body):
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), Executor)
    print(f"executor on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
