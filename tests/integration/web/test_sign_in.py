"""Signing in and out, what ends a session, and what a form needs."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from app.access import keys_service
from app.access.audit_chain import verify
from app.access.audit_tables import AuditEvent
from app.access.keys_schemas import KeyRotation, Revocation
from app.access.keys_tables import ApiKey
from app.access.sessions_tables import EndedSession
from app.core.clock import now
from app.core.database import Database
from app.core.ids import new_id
from app.core.key_text import new_key
from app.main import create_app
from app.settings import Settings
from tests.integration.access.conftest import PEPPER, make_key
from tests.integration.web.conftest import Browser

COOKIE = "featuredrift_session"


def key_id(database: Database, name: str) -> UUID:
    with database.unit_of_work() as session:
        return session.scalars(select(ApiKey.id).where(ApiKey.name == name)).one()


def test_a_page_leads_to_the_sign_in_and_the_sign_in_back_to_the_page(
    browser: Browser, database: Database
) -> None:
    refused = browser.get("/models?cursor=abc")
    assert refused.status_code == 303
    assert refused.headers["location"] == "/sign-in?next=/models%3Fcursor%3Dabc"

    form = browser.get(refused.headers["location"])
    assert form.status_code == 200
    assert 'name="next" value="/models?cursor=abc"' in form.text
    signed = browser.sign_in(make_key(database, "ada", "read"), "/models?cursor=abc")

    assert (signed.status_code, signed.headers["location"]) == (303, "/models?cursor=abc")
    home = browser.get("/")
    assert home.status_code == 200
    assert "<strong>ada</strong>" in home.text
    # Who is signed in needs no form.
    assert browser.get("/sign-in?next=/models").headers["location"] == "/models"


def test_the_cookie_holds_the_ids_of_key_and_session_and_no_script_reads_it(
    browser: Browser, database: Database
) -> None:
    key = make_key(database, "ada", "read")
    (cookie,) = [
        value
        for value in browser.sign_in(key).headers.get_list("set-cookie")
        if value.startswith(COOKIE)
    ]

    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/", "max-age=43200"} <= attributes
    assert not any(attribute.startswith("domain") for attribute in attributes)
    application: Any = browser.http.app
    signed = cookie.split(";")[0].partition("=")[2]
    (_, key_named), _ = application.state.signer.read("signed-in", signed, 60)
    assert key_named == str(key_id(database, "ada"))
    assert key not in cookie


def test_behind_https_cookies_are_secure_and_of_this_host_alone(
    locked: Settings, database: Database
) -> None:
    served = locked.model_copy(update={"public_url": "https://drift.example"})
    with TestClient(create_app(served), base_url="https://drift.example") as client:
        browser = Browser(client)
        browser.http.base_url = "https://drift.example"
        signed = browser.sign_in(make_key(database, "ada", "read"))
        cookies = signed.headers.get_list("set-cookie")

    assert any(cookie.startswith(f"__Host-{COOKIE}=") for cookie in cookies)
    assert all("secure" in cookie.lower() for cookie in cookies)


@pytest.mark.parametrize(
    "change", ["revoked", "expired", "rotated", "deleted"], ids=lambda change: f"key {change}"
)
def test_a_session_ends_with_its_key_at_the_next_request(
    reader: Browser, database: Database, change: str
) -> None:
    assert reader.get("/").status_code == 200
    which = key_id(database, "reader")
    with database.unit_of_work() as session:
        if change == "revoked":
            keys_service.revoke(session, which, Revocation(by="ada"))
        elif change == "rotated":
            # As if the session had begun an hour before.
            keys_service.rotate(session, which, KeyRotation(by="ada", overlap=0), PEPPER.encode())
            later = now() + timedelta(hours=1)
            session.execute(update(ApiKey).values(rotated_at=later))
        elif change == "expired":
            session.execute(update(ApiKey).values(expires_at=now() - timedelta(seconds=1)))
        else:
            session.delete(session.get_one(ApiKey, which))

    ended = reader.get("/models")

    assert ended.status_code == 303
    assert ended.headers["location"] == "/sign-in?next=/models"
    assert "max-age=0" in ended.headers["set-cookie"].lower()
    assert COOKIE not in reader.http.cookies


def test_in_a_rotations_overlap_a_session_goes_on(reader: Browser, database: Database) -> None:
    with database.unit_of_work() as session:
        which = session.scalars(select(ApiKey.id)).one()
        keys_service.rotate(session, which, KeyRotation(by="ada", overlap=3600), PEPPER.encode())
        session.execute(update(ApiKey).values(rotated_at=now() + timedelta(minutes=1)))

    assert reader.get("/").status_code == 200


def test_a_forged_cookie_signs_nobody_in(reader: Browser) -> None:
    value = reader.http.cookies[COOKIE]
    reader.http.cookies.clear()
    for forged in (
        value[:-1] + ("A" if value[-1] != "A" else "B"),
        "x",
        "",
        value.partition(".")[0],
    ):
        reader.http.cookies.set(COOKIE, forged)
        assert reader.get("/").status_code == 303, forged


def test_the_api_takes_no_session(reader: Browser) -> None:
    """What a browser sends along unasked can do nothing there."""
    response = reader.http.get("/v1/models")

    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert reader.http.get("/metrics").status_code == 401


def test_signing_out_ends_the_session_and_needs_a_form(reader: Browser) -> None:
    assert reader.http.post("/sign-out").status_code == 403
    assert reader.get("/").status_code == 200

    assert reader.send("/", "/sign-out").headers["location"] == "/sign-in"

    assert reader.get("/").status_code == 303


def test_signing_out_ends_every_copy_of_the_cookie_and_no_other_session(
    reader: Browser, client: TestClient, database: Database
) -> None:
    thief, elsewhere = Browser(client), Browser(client)
    thief.http.cookies.update(reader.http.cookies)
    with database.unit_of_work() as session:
        which = session.scalars(select(ApiKey.id)).one()
        key = keys_service.rotate(
            session, which, KeyRotation(by="ada", overlap=3600), PEPPER.encode()
        )[1]
    assert elsewhere.sign_in(key).status_code == 303
    assert thief.get("/").status_code == 200
    # One that is good no longer, which the next to sign out takes away.
    with database.unit_of_work() as session:
        session.add(EndedSession(id=new_id(), until=now() - timedelta(seconds=1)))

    reader.send("/", "/sign-out")

    ended = thief.get("/models")
    assert ended.headers["location"] == "/sign-in?next=/models"
    assert COOKIE not in thief.http.cookies
    assert elsewhere.get("/").status_code == 200
    with database.unit_of_work() as session:
        assert session.scalars(select(EndedSession.until)).one() > now() + timedelta(days=29)


def test_who_signs_in_and_out_stands_in_the_audit_trail(
    browser: Browser, database: Database
) -> None:
    key = make_key(database, "ada", "read", "bot")
    browser.sign_in(new_key())
    browser.sign_in(key)
    # The same form, sent twice.
    token = browser.token("/")
    cookies = dict(browser.http.cookies)
    for _ in range(2):
        browser.http.cookies.update(cookies)
        browser.http.post("/sign-out", data={"csrf_token": token})

    with database.unit_of_work() as session:
        events = session.scalars(
            select(AuditEvent).where(AuditEvent.subject_kind == "session").order_by(AuditEvent.id)
        ).all()
    assert [(one.action, one.actor, one.principal, one.model) for one in events] == [
        ("session.begun", "ada", "ada", "bot"),
        ("session.ended", "ada", "ada", "bot"),
    ]
    assert {one.key_id for one in events} == {key_id(database, "ada")}
    assert len({one.subject_id for one in events}) == 1
    assert verify(database).whole


@pytest.mark.parametrize(
    ("key", "status", "told"),
    [
        ("", 422, "Give a key"),
        ("fd_short", 401, "no whole key"),
        (new_key(), 401, "Nobody has this key"),
    ],
    ids=["empty", "malformed", "unknown"],
)
def test_a_key_that_does_not_work_is_told_so_and_not_shown(
    browser: Browser, key: str, status: int, told: str
) -> None:
    response = browser.sign_in(key, "/alerts")

    assert response.status_code == status
    assert told in response.text
    assert 'role="alert"' in response.text
    assert 'name="next" value="/alerts"' in response.text
    assert not key or key not in response.text
    assert COOKIE not in browser.http.cookies


def test_a_key_for_metrics_and_the_settings_keys_open_no_session(
    locked: Settings, database: Database
) -> None:
    bootstrap = new_key()
    settings = locked.model_copy(update={"bootstrap_key": bootstrap})
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        browser = Browser(client)
        for key in (bootstrap, make_key(database, "scraper", "metrics")):
            response = browser.sign_in(key)
            assert response.status_code == 403
            assert COOKIE not in browser.http.cookies


def test_failed_attempts_are_limited_and_somebody_elses_are_not(
    client: TestClient, browser: Browser, database: Database
) -> None:
    for _ in range(10):
        assert browser.sign_in(new_key()).status_code == 401

    refused = browser.sign_in(make_key(database, "ada", "read"))

    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert "Wait" in refused.text
    elsewhere = Browser(client, "203.0.113.9")
    assert elsewhere.sign_in(make_key(database, "bob", "read")).status_code == 303


def test_a_form_needs_its_token_its_cookie_and_its_origin(
    browser: Browser, client: TestClient, database: Database
) -> None:
    fields = {"key": make_key(database, "ada", "read"), "next": "/"}
    token = browser.token("/sign-in")
    good = {"csrf_token": token, **fields}

    def refused(http: TestClient, data: dict[str, str], **headers: str) -> bool:
        response = http.post("/sign-in", data=data, headers=headers)
        assert response.status_code in {303, 403}, response.text
        if response.status_code == 403:
            assert "<h1>" in response.text
        return response.status_code == 403

    assert refused(browser.http, fields)
    assert refused(browser.http, {**good, "csrf_token": token[:-2]})
    # The token of another browser: its other half is in that one's cookie.
    assert refused(browser.http, {**good, "csrf_token": Browser(client).token("/sign-in")})
    assert refused(Browser(client).http, good)
    assert refused(browser.http, good, Origin="https://evil.example")
    assert refused(browser.http, good, Origin="null")
    assert refused(browser.http, good, **{"Sec-Fetch-Site": "cross-site"})
    assert not refused(browser.http, good, Origin="http://testserver")


def test_a_token_of_before_the_sign_in_is_no_good_after_it(
    browser: Browser, database: Database
) -> None:
    before = browser.token("/sign-in")
    browser.sign_in(make_key(database, "ada", "read"))

    assert browser.http.post("/sign-out", data={"csrf_token": before}).status_code == 403


@pytest.mark.parametrize(
    "target",
    [
        *("//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil.example"),
        *("/\t/evil.example", "javascript:alert(1)", "///evil.example", "/sign-out", "evil"),
    ],
)
def test_a_sign_in_leads_nowhere_else(browser: Browser, database: Database, target: str) -> None:
    form = browser.http.get("/sign-in", params={"next": target})
    assert 'name="next" value="/"' in form.text

    signed = browser.sign_in(make_key(database, "ada", "read"), target)

    assert (signed.status_code, signed.headers["location"]) == (303, "/")


def test_where_no_key_is_needed_nobody_signs_in(settings: Settings, database: Database) -> None:
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        browser = Browser(client)

        assert browser.get("/").status_code == 200
        assert browser.get("/sign-in?next=/models").headers["location"] == "/models"
        assert "Sign out" not in browser.get("/").text


def test_pages_say_what_browsers_may_do(reader: Browser) -> None:
    for path in ("/", "/nowhere", "/sign-in"):
        headers = reader.get(path).headers
        if path == "/sign-in":
            continue
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"


def test_errors_are_pages_for_people_and_problems_for_programs(
    reader: Browser, client: TestClient
) -> None:
    page = reader.get("/no/such/page")
    assert page.status_code == 404
    assert "text/html" in page.headers["content-type"]
    assert "<h1>There is nothing here</h1>" in page.text
    assert "no_such_route" in page.text

    for path in ("/v1/nothing", "/v1/models/nobody"):
        answer = reader.http.get(path)
        assert answer.headers["content-type"] == "application/problem+json"
    program = client.get("/no/such/page", headers={"Accept": "application/json"})
    assert program.headers["content-type"] == "application/problem+json"


def test_the_database_away_is_said_and_signs_nobody_out(
    reader: Browser, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    application: Any = reader.http.app
    application.state.database.engine.dispose()
    monkeypatch.setattr(application.state.database.engine, "connect", _refuse)

    response = reader.get("/")

    assert response.status_code == 503
    assert "does not answer" in response.text
    assert response.headers["retry-after"]
    assert COOKIE in reader.http.cookies


def _refuse(*_args: object, **_kwargs: object) -> None:
    from sqlalchemy.exc import OperationalError

    raise OperationalError("connect", {}, Exception("refused"))


def test_static_files_are_kept_as_long_as_they_are_the_same(reader: Browser) -> None:
    home = reader.get("/").text
    address = home.split('rel="stylesheet" href="')[1].split('"')[0]

    style = reader.get(address)

    assert style.headers["content-type"].startswith("text/css")
    assert "immutable" in style.headers["cache-control"]
    assert "--chart-ink" in style.text
    again = reader.http.get(address, headers={"If-None-Match": style.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "immutable" not in reader.get("/static/style.css?v=old").headers["cache-control"]
    assert reader.get("/static/nothing.css").status_code == 404
