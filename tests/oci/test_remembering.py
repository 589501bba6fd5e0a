"""An answer given again is the answer that would be worked out anew: for rows, callers and times that change."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import pytest
import sqlalchemy as sa

from moorage import app
from moorage.domain.names import EntityName
from moorage.registry import identities, keys
from moorage.registry.auth import authenticate
from moorage.registry.tables import pulls
from tests import content
from tests.registry.kit import ACCOUNT, REGION, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Message, Receive, Scope, Send

PATH = "/v2/first/manifests/v1"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Answer(NamedTuple):
    """What a client gets."""

    status: int
    headers: dict[str, str]
    body: bytes
    file: Path | None
    """The file that the server would send."""


class Door:
    """The application of a bench, asked without a socket, and how often it had to authenticate anybody."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.now = NOON
        bench.registry.clock = lambda: self.now
        # Tokens end by the keyring's clock, which is the machine's.
        bench.registry.keyring._clock = lambda: self.now.timestamp()  # noqa: PLW0108 (the time moves)
        self._app = app.create_app(bench.settings, bench.registry)
        self.worked_out = 0

    def token(self, key: str) -> str:
        """Return a password made by a key, good for a day."""
        claims = {"key": key, "registry": ACCOUNT, "region": REGION}
        return self.bench.registry.keyring.sign("authorization", claims, lifetime=24 * 3600)

    def get(
        self, password: str, *more: tuple[str, str], path: str = PATH, method: str = "GET", source: str = "10.1.2.3"
    ) -> Answer:
        """Ask for something."""
        basic = b64encode(f"AWS:{password}".encode()).decode()
        headers = [("host", "localhost:5100"), ("authorization", f"Basic {basic}"), *more]
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers],
            "client": (source, 4711),
            "server": ("localhost", 5100),
            "extensions": {"http.response.pathsend": {}},
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        with mock.patch("moorage.registry.core.authenticate", side_effect=self._authenticate):
            asyncio.run(self._run(scope, receive, send))
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        file = Path(sent[1]["path"]) if "path" in sent[1] else None
        return Answer(sent[0]["status"], told, b"".join(m.get("body", b"") for m in sent[1:]), file)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _authenticate(self, *given: Any) -> Any:
        self.worked_out += 1
        return authenticate(*given)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A registry on SQLite, where answers are remembered, with an image ``first:v1``."""
    with Bench.opened(tmp_path / "data") as bench:
        yield Door(bench)


@dataclass
class User:
    """A user who may read until the day's end."""

    key: str
    password: str


@pytest.fixture
def user(door: Door) -> User:
    """A user who may do anything from some addresses, for an hour."""
    until = (NOON + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    allowed = {
        "Effect": "Allow",
        "Action": "ecr:*",
        "Resource": "*",
        "Condition": {"DateLessThan": {"aws:CurrentTime": until}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    }
    name, policy = EntityName.parse("reader"), EntityName.parse("reading")
    with door.bench.write() as ctx:
        identities.create_user(ctx, name)
        identities.put_policy(ctx, policy, json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
        identities.attach(ctx, "user", name, policy)
        made = keys.create(ctx, name)
    return User(made.access_key_id, door.token(made.access_key_id))


def test_the_same_question_is_worked_out_once(door: Door, user: User) -> None:
    """A second request that is the first to the byte gets its answer without authentication, and each of its headers."""
    pushed = door.bench.image("v1")
    first, second = door.get(user.password), door.get(user.password)
    assert door.worked_out == 1
    assert first.status == second.status == 200
    assert first.body == second.body == pushed.manifest
    ids = [answer.headers.pop("x-request-id") for answer in (first, second)]
    assert ids[0] != ids[1]
    assert first.headers == second.headers


@pytest.mark.parametrize(
    "other",
    [
        {"method": "HEAD"},
        {"source": "10.9.9.9"},
        {"path": "/v2/first/manifests/v2"},
        {"more": ("user-agent", "another")},
        {"more": ("if-none-match", '"sha256:00"')},
    ],
)
def test_another_question_is_worked_out(door: Door, user: User, other: dict[str, Any]) -> None:
    """A request that differs in its method, source, path or any header is not answered from memory."""
    door.bench.image("v1", "v2")
    door.get(user.password)
    more = [other.pop("more")] if "more" in other else []
    assert door.get(user.password, *more, **other).status == 200
    assert door.worked_out == 2


def test_what_any_process_commits_is_seen_at_once(door: Door, user: User) -> None:
    """A tag that another worker moves leads to the new image with the very next request, again and again."""
    door.bench.image("v1")
    with door.bench.other_worker() as other:
        for _ in range(20):
            door.get(user.password)
            pushed = other.image("v1")
            assert door.get(user.password).body == pushed.manifest


def test_who_may_no_more_is_refused_at_once(door: Door, user: User) -> None:
    """A key that is disabled ends with the request before, and so does a permission that is taken away."""
    door.bench.image("v1")
    assert door.get(user.password).status == 200
    with door.bench.write() as ctx:
        keys.set_active(ctx, user.key, active=False)
    assert door.get(user.password).status == 401
    with door.bench.write() as ctx:
        keys.set_active(ctx, user.key, active=True)
    assert door.get(user.password).status == 200
    with door.bench.write() as ctx:
        identities.detach(ctx, "user", EntityName.parse("reader"), EntityName.parse("reading"))
    assert door.get(user.password).status == 403


def test_a_condition_on_the_time_is_asked_each_second(door: Door, user: User) -> None:
    """What a policy allows until one o'clock is refused at one o'clock."""
    door.bench.image("v1")
    door.now = NOON + timedelta(minutes=59, seconds=59)
    assert [door.get(user.password).status for _ in range(2)] == [200, 200]
    door.now += timedelta(seconds=1)
    assert door.get(user.password).status == 403


def test_a_token_ends_in_its_second(door: Door) -> None:
    """A token that was good in the last second is refused in the second that it ends in."""
    door.bench.image("v1")
    short = door.bench.registry.keyring.sign(
        "authorization", {**door.bench.root_claims, "exp": int(NOON.timestamp()) + 10}
    )
    door.now = NOON + timedelta(seconds=9.9)
    assert [door.get(short).status for _ in range(2)] == [200, 200]
    door.now = NOON + timedelta(seconds=10)
    assert door.get(short).status == 403


def test_each_pull_is_noted(door: Door, user: User) -> None:
    """A pull that is answered from memory counts as one, with its own time; a look (HEAD) does not."""
    door.bench.image("v1")
    for _ in range(3):
        door.get(user.password)
        door.get(user.password, method="HEAD")
        door.now += timedelta(milliseconds=100)
    door.bench.registry.flush()
    noted = door.bench.rows(sa.select(pulls.c.pulled_at, pulls.c.count))
    assert [tuple(row) for row in noted] == [(NOON + timedelta(milliseconds=200), 3)]


def test_who_failed_waits_all_the_same(door: Door, user: User) -> None:
    """While an address is refused because it guessed, it gets no answer from memory either."""
    door.bench.image("v1")
    assert door.get(user.password).status == 200
    claimed = user.password.split(".")
    for _ in range(door.bench.settings.failed_attempts + 1):
        door.get(".".join([*claimed[:2], "guess"]))
    assert door.get(user.password).status == 429
    assert door.get(user.password, source="10.4.4.4").status == 200


def test_refusals_are_worked_out_each_time(door: Door, user: User) -> None:
    """What is not there, and what somebody may not see, is looked for each time."""
    for status, asked in ((404, {}), (403, {"source": "192.0.2.1"})):
        before = door.worked_out
        assert [door.get(user.password, **asked).status for _ in range(2)] == [status, status]
        assert door.worked_out == before + 2


def test_a_file_is_looked_at_each_time(door: Door, user: User) -> None:
    """A blob is sent again without being worked out, and not any more once its file is gone."""
    layer = door.bench.image("v1").layers[0]
    digest = content.digest_of(layer)
    asked = {"path": f"/v2/first/blobs/{digest}"}
    answers = [door.get(user.password, **asked) for _ in range(2)]
    assert [(answer.status, answer.file and answer.file.read_bytes()) for answer in answers] == [(200, layer)] * 2
    assert door.worked_out == 1
    assert answers[0].file is not None
    answers[0].file.unlink()
    assert door.get(user.password, **asked).status == 404


def test_whether_a_blob_is_there_is_worked_out(door: Door, user: User) -> None:
    """A look at a blob (HEAD) sends no file that could be looked at again: a file that goes is missed at once."""
    layer = door.bench.image("v1").layers[0]
    asked = {"path": f"/v2/first/blobs/{content.digest_of(layer)}"}
    assert [door.get(user.password, method="HEAD", **asked).status for _ in range(2)] == [200, 200]
    file = door.get(user.password, **asked).file
    assert file is not None
    file.unlink()
    assert door.get(user.password, method="HEAD", **asked).status == 404


def test_pieces_of_a_file_are_worked_out_once(door: Door, user: User) -> None:
    """Whichever piece is asked for, it comes from the same file; what is not a piece of it, and a HEAD, does not."""
    layer = door.bench.image("v1").layers[0]
    path = f"/v2/first/blobs/{content.digest_of(layer)}"

    def piece(asked: str, *more: tuple[str, str], method: str = "GET") -> tuple[int, bytes, str | None]:
        answer = door.get(user.password, ("range", asked), *more, path=path, method=method)
        return answer.status, answer.body, answer.headers.get("content-range")

    length = len(layer)
    assert piece("bytes=1-2") == (206, layer[1:3], f"bytes 1-2/{length}")
    assert piece("bytes=0-0") == (206, layer[:1], f"bytes 0-0/{length}")
    assert piece("bytes=-2") == (206, layer[-2:], f"bytes {length - 2}-{length - 1}/{length}")
    assert piece(f"bytes={length}-")[::2] == (416, f"bytes */{length}")
    assert door.worked_out == 1
    # Of another version, or not to be read: the whole file, by the same rules as the first time.
    for asked, *more in (("bytes=1-2", ("if-range", '"another"')), ("bytes=x",)):
        answers = [door.get(user.password, ("range", asked), *more, path=path) for _ in range(2)]
        assert [(answer.status, answer.file and answer.file.read_bytes()) for answer in answers] == [(200, layer)] * 2
    assert piece("bytes=1-2", method="HEAD")[0] == 200


def test_pieces_of_a_file_that_is_gone_are_missed(door: Door, user: User) -> None:
    """The file is looked at for each piece, and so is who asks."""
    layer = door.bench.image("v1").layers[0]
    path = f"/v2/first/blobs/{content.digest_of(layer)}"

    def ask(source: str = "10.1.2.3") -> int:
        return door.get(user.password, ("range", "bytes=1-2"), path=path, source=source).status

    assert [ask(), ask("192.0.2.1"), ask()] == [206, 403, 206]
    file = door.get(user.password, path=path).file
    assert file is not None
    file.write_bytes(layer[:-1])
    assert ask() == 404
    with door.bench.write() as ctx:
        identities.detach(ctx, "user", EntityName.parse("reader"), EntityName.parse("reading"))
    assert ask() == 403


def test_memory_is_bounded(door: Door, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its bound nothing is remembered, and everything answered."""
    monkeypatch.setattr("moorage.oci.remembering._MOST", 5000)
    door.bench.image(*(f"v{number}" for number in range(20)))
    for _ in range(2):
        for number in range(20):
            assert door.get(user.password, path=f"/v2/first/manifests/v{number}").status == 200
    assert 20 < door.worked_out < 40
