"""One attempt against real sockets: what it reaches, what it refuses, and when it ends."""

import ssl
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.core.clock import now
from app.settings import Settings
from app.webhooks.addresses import Address
from app.webhooks.sender import SNIPPET_BYTES, Sender
from tests.integration.webhooks.receiver import Receiver, dripping, receiving

LOOPBACK = (ip_network("127.0.0.0/8"),)


class Names:
    """A name server that gives one prepared answer after another, and counts the questions."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, timeout: float) -> list[Address]:
        self.asked.append(host)
        return [ip_address(text) for text in self.answers.pop(0)]


def make_sender(allowed: Any = LOOPBACK, timeout: float = 1.0, **how: Any) -> Sender:
    return Sender(Settings(webhook_allowed_networks=allowed, webhook_timeout=timeout), **how)


def test_the_body_arrives_as_it_is_with_headers(receiver: Receiver) -> None:
    receiver.answers.append((200, {}, b"thanks"))
    outcome = make_sender().post(receiver.url + "?a=1", {"webhook-id": "msg_1"}, '{"ü": 1}')
    assert (outcome.error, outcome.status, outcome.snippet) == (None, 200, "thanks")
    (request,) = receiver.received
    assert request.path == "/hook?a=1"
    assert request.body == '{"ü": 1}'.encode()
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"


def test_loopback_is_refused_without_a_setting_and_nothing_is_sent(receiver: Receiver) -> None:
    outcome = make_sender(allowed=()).post(receiver.url, {}, "{}")
    assert outcome.status is None
    assert outcome.error is not None
    assert "127.0.0.1 (loopback)" in outcome.error
    assert "FEATUREDRIFT_WEBHOOK_ALLOWED_NETWORKS" in outcome.error
    assert receiver.received == []


def test_the_connection_goes_to_the_address_that_was_checked(receiver: Receiver) -> None:
    # No resolver of the system knows this name: had it been asked again, nothing would arrive.
    names = Names(["127.0.0.1"])
    sender = make_sender(resolver=names)
    outcome = sender.post(f"http://rebind.invalid:{receiver.port}/hook", {}, "{}")
    assert outcome.error is None
    assert names.asked == ["rebind.invalid"]
    assert receiver.received[0].headers["host"] == f"rebind.invalid:{receiver.port}"


def test_a_name_that_moves_to_another_address_is_refused_at_that_attempt(
    receiver: Receiver,
) -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1", "10.0.0.1"], [])
    sender = make_sender(resolver=names)
    url = f"http://rebind.invalid:{receiver.port}/hook"
    errors = [sender.post(url, {}, "{}").error for _ in range(4)]
    assert errors[0] is None
    assert errors[1] is not None
    assert "169.254.169.254 (link-local)" in errors[1]
    assert errors[2] is not None
    assert "10.0.0.1 (private)" in errors[2]
    assert errors[3] == "the host name 'rebind.invalid' has no address"
    assert len(receiver.received) == 1


def test_the_second_address_is_tried_when_the_first_does_not_answer(receiver: Receiver) -> None:
    names = Names(["127.0.0.2", "127.0.0.1"])
    outcome = make_sender(resolver=names).post(f"http://two.invalid:{receiver.port}/", {}, "{}")
    assert outcome.error is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    with receiving() as elsewhere:
        receiver.answers.append((status, {"Location": elsewhere.url}, b""))
        outcome = make_sender().post(receiver.url, {}, "{}")
    assert outcome.status == status
    assert outcome.error is not None
    assert "redirects are not followed" in outcome.error
    assert (len(receiver.received), elsewhere.received) == (1, [])


def test_proxies_of_the_environment_are_ignored(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        assert make_sender().post(receiver.url, {}, "{}").error is None
    assert (len(receiver.received), proxy.received) == (1, [])


def test_an_attempt_ends_at_its_timeout_however_slowly_the_receiver_talks() -> None:
    # Each byte comes well within the timeout; all of them together never would.
    for answer in (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000, b""):
        with dripping(answer, 0.2) as port:
            outcome = make_sender(timeout=0.6).post(f"http://127.0.0.1:{port}/", {}, "{}")
        assert outcome.status is None
        assert outcome.error == "no answer within 0.6 s (while trying to read)"
        assert outcome.seconds < 5


def test_a_status_counts_though_its_body_never_ends() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    with dripping(head + b"x" * 100_000, 0.01) as port:
        outcome = make_sender(timeout=1.5).post(f"http://127.0.0.1:{port}/", {}, "{}")
    assert (outcome.status, outcome.error) == (200, None)
    assert outcome.snippet.startswith("x")
    assert outcome.snippet.endswith("[broken off]")


def test_of_an_answer_only_the_start_is_read(receiver: Receiver) -> None:
    receiver.answers.append((500, {}, b"a\x00\xff" + b"y" * 5_000_000))
    outcome = make_sender().post(receiver.url, {}, "{}")
    assert outcome.error == "answered 500; 200 to 299 says that it was taken"
    assert len(outcome.snippet) == SNIPPET_BYTES
    assert outcome.snippet.startswith("a��y")


def test_what_is_no_http_and_who_is_not_there_are_explained() -> None:
    with dripping(b"SSH-2.0-OpenSSH\r\n\r\n", 0) as port:
        outcome = make_sender().post(f"http://127.0.0.1:{port}/", {}, "{}")
    assert outcome.error is not None
    assert outcome.error.startswith("RemoteProtocolError")
    outcome = make_sender().post(f"http://127.0.0.1:{port}/", {}, "{}")
    assert outcome.error is not None
    assert outcome.error.startswith("ConnectError")


def test_retry_after_is_read_as_seconds_or_date(receiver: Receiver) -> None:
    later = (now() + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    beyond = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"
    values = {"120": 120, later: 90, "soon": None, beyond: None}
    for text, seconds in values.items():
        receiver.answers.append((503, {"Retry-After": text}, b""))
        found = make_sender().post(receiver.url, {}, "{}").retry_after
        assert found == (None if seconds is None else pytest.approx(seconds, abs=10))


def test_tls_verifies_the_host_name_though_the_address_is_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = _certificate(tmp_path, "hooks.invalid")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    stranger = make_sender(resolver=Names(["127.0.0.1"]))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with receiving(context) as receiver:
        url = f"https://hooks.invalid:{receiver.port}/hook"
        right = make_sender(resolver=Names(["127.0.0.1"])).post(url, {}, "{}")
        wrong = make_sender(resolver=Names(["127.0.0.1"])).post(
            url.replace("hooks", "other"), {}, "{}"
        )
        unknown = stranger.post(url, {}, "{}")
    assert (right.status, right.error) == (204, None)
    assert wrong.error is not None
    assert "Hostname mismatch" in wrong.error
    assert unknown.error is not None
    assert "certificate verify failed" in unknown.error
    assert len(receiver.received) == 1


def _certificate(folder: Path, host: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(host), x509.IPAddress(ip_address("127.0.0.9"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files
