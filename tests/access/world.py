"""A served installation with several accounts, and quick ways to people it: what the matrix of access stands on."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import itertools
import json
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final

import botocore.session
import sqlalchemy as sa
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from moorage import app
from moorage.config import Settings
from moorage.domain import manifests
from moorage.domain.names import EntityName, RepositoryName, Tag
from moorage.registry import (
    accounts,
    identities,
    images,
    keys,
    layers,
    registries,
    repositories,
    roles,
    tables,
    uploads,
)
from moorage.registry.auth import Identity, Signed, issue_token
from tests import content, servers
from tests.access.kit import document
from tests.servers import ACCOUNT, REGION, Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from botocore.credentials import Credentials

    from moorage.registry.core import Context, Registry
    from tests.stacks import Stack

OTHER: Final = "210987654321"
"""Another account of the same installation."""

IDENTITIES: Final = {
    "accounts", "users", "groups", "memberships", "attachments", "policies", "access_keys", "roles", "oidc_providers",
}  # fmt: skip
"""Tables that say who there is: no operation writes to them."""

Statement = dict[str, Any]
ONCE: Final = Config(retries={"total_max_attempts": 1})


def allow(*actions: str, on: str | Sequence[str] = "*", **more: Any) -> Statement:
    """Return a statement that allows actions."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: str, on: str | Sequence[str] = "*", **more: Any) -> Statement:
    """Return a statement that denies actions."""
    return {"Effect": "Deny", "Action": list(actions), "Resource": on, **more}


def allow_all_but(*actions: str) -> Statement:
    """Return a statement that allows everything but some actions."""
    return {"Effect": "Allow", "NotAction": list(actions), "Resource": "*"}


def arn_of(name: str, account: str = ACCOUNT, region: str = REGION) -> str:
    """Return the ARN of a repository, written here and not taken from the code."""
    return f"arn:aws:ecr:{region}:{account}:repository/{name}"


@dataclass(frozen=True)
class Outcome:
    """What became of a request: its HTTP status, and the code and message of a refusal."""

    status: int
    code: str = ""
    message: str = ""
    body: bytes = field(default=b"", repr=False, compare=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def renamed(self, old: str, new: str) -> Outcome:
        """Return the same outcome, speaking of another repository."""
        return Outcome(self.status, self.code, self.message.replace(old, new))


@dataclass(frozen=True)
class Person:
    """Somebody with credentials; ``arn`` is what refusals call them."""

    arn: str
    account: str
    access_key_id: str
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    @property
    def credentials(self) -> dict[str, str]:
        """What a client takes."""
        given = {"aws_access_key_id": self.access_key_id, "aws_secret_access_key": self.secret}
        return given | ({"aws_session_token": self.session_token} if self.session_token else {})


@dataclass(frozen=True)
class Stage:
    """A repository with one image (``v1``) and a layer that no image needs; or only its name."""

    account: str
    name: str
    image: content.Image
    spare: bytes
    region: str = REGION

    @property
    def arn(self) -> str:
        """The repository's ARN."""
        return arn_of(self.name, self.account, self.region)


class World:
    """A served installation, also opened here to make people and repositories many at a time."""

    def __init__(self, server: Server, registry: Registry) -> None:
        self.server = server
        self.registry = registry
        self.image = content.image()
        self.spare = content.layer()
        self._numbers = itertools.count()
        self._seed()

    # --- People ---

    def number(self) -> int:
        """Return a number that was not given before."""
        return next(self._numbers)

    @contextlib.contextmanager
    def writing(self, account: str = ACCOUNT, region: str = REGION) -> Iterator[Context]:
        """Open a writing unit of work of an account's root."""
        with self.registry.write(Identity(identities.root_principal(account), "test", account, region)) as ctx:
            yield ctx

    @cached_property
    def root(self) -> Person:
        """The root of the account."""
        key = self.server.key
        return Person(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, key.access_key_id, key.secret_access_key)

    @cached_property
    def other_root(self) -> Person:
        """The root of the other account."""
        key = keys.new_access_key(OTHER)
        with self.writing(OTHER) as ctx:
            keys.store(ctx.tx, self.registry.keyring, key, user=None, now=ctx.now)
        return Person(f"arn:aws:iam::{OTHER}:root", OTHER, key.access_key_id, key.secret_access_key)

    def root_of(self, account: str) -> Person:
        """Return the root of one of the accounts."""
        return self.root if account == ACCOUNT else self.other_root

    def user(
        self,
        *statements: Statement,
        account: str = ACCOUNT,
        group: Sequence[Statement] = (),
        boundary: Sequence[Statement] = (),
    ) -> Person:
        """Make a user with a policy of its own, one of a group that it is in, and a boundary."""
        name = EntityName(f"user-{self.number()}")
        with self.writing(account) as ctx:
            arn = identities.create_user(ctx, name)
            self._attach(ctx, identities.USER, name, statements)
            if group:
                identities.create_group(ctx, name)
                self._attach(ctx, identities.GROUP, name, group)
                identities.add_to_group(ctx, name, name)
            if boundary:
                identities.put_policy(ctx, EntityName(f"boundary-{name}"), document(*boundary))
                identities.set_boundary(ctx, identities.USER, name, f"boundary-{name}")
            key = keys.create(ctx, name)
        return Person(arn, account, key.access_key_id, key.secret_access_key)

    def session(
        self,
        *statements: Statement,
        policy: Sequence[Statement] | str = (),
        account: str = ACCOUNT,
        name: EntityName | None = None,
    ) -> Person:
        """Make a role with a policy, and take it on; ``policy`` is the session's own."""
        name = name or EntityName(f"role-{self.number()}")
        trusted = {"AWS": f"arn:aws:iam::{account}:user/{self.broker.arn.rpartition('/')[2]}"}
        trust = document({"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"})
        with self.writing(account) as ctx:
            arn = roles.create(ctx, name, trust)
            self._attach(ctx, identities.ROLE, name, statements)
        text = policy if isinstance(policy, str) else document(*policy)
        more = {"Policy": text} if policy else {}
        answer = self._sts.assume_role(RoleArn=arn, RoleSessionName="matrix", **more)
        given = answer["Credentials"]
        return Person(
            f"arn:aws:sts::{account}:assumed-role/{name}/matrix",
            account,
            given["AccessKeyId"],
            given["SecretAccessKey"],
            given["SessionToken"],
        )

    @cached_property
    def broker(self) -> Person:
        """A user whom roles trust, and who may do nothing else."""
        return self.user()

    @cached_property
    def _sts(self) -> Any:
        return self.server.client("sts", **self.broker.credentials)

    def _attach(self, ctx: Context, kind: str, name: EntityName, statements: Sequence[Statement]) -> None:
        if statements:
            policy = EntityName(f"{kind}-{name}")
            identities.put_policy(ctx, policy, document(*statements))
            identities.attach(ctx, kind, name, policy)

    def token(self, person: Person, account: str = ACCOUNT, region: str = REGION) -> str:
        """
        Return what stands behind ``Basic`` for somebody's docker login at an account's registry.

        Made without asking GetAuthorizationToken: whoever has a token may have lost the right to get one.
        """
        presented = Signed(
            access_key_id=person.access_key_id,
            region=region,
            service="ecr",
            session_token=person.session_token,
            verify=lambda _secret, _now: None,
        )
        with self.registry.read(presented) as ctx:
            return base64.b64encode(f"AWS:{issue_token(ctx, account).password}".encode()).decode()

    # --- Repositories ---

    def _seed(self) -> None:
        with self.writing(OTHER) as ctx:
            accounts.ensure(ctx.tx, OTHER, ctx.now)
        root = self.server.client()
        root.create_repository(repositoryName="seed")
        content.push(self.server, "seed", "v1", self.image)
        content.push_blob(self.server, "seed", self.spare)

    def missing(self, account: str = ACCOUNT) -> Stage:
        """Return the name of a repository that is not there."""
        return Stage(account, f"stage/{self.number()}", self.image, self.spare)

    def stage(self, *policy: Statement, account: str = ACCOUNT) -> Stage:
        """Make a repository with an image, and a policy."""
        stage = self.missing(account)
        self.make(stage, "v1")
        if policy:
            self.policy(stage, *policy)
        return stage

    def make(self, stage: Stage, *names: str) -> None:
        """Make the repository of a stage, its image under some tags."""
        with self.writing() as ctx:
            seed = repositories.get(ctx, RepositoryName("seed"))
            found = [layers.get(ctx, seed, content.digest_of(data)) for data in self._blobs]
            there = dataclasses.replace(ctx, registry_id=stage.account, region=stage.region)
            made = repositories.create(there, RepositoryName(stage.name))
            for layer in found:
                uploads.mount(there, made, layer)
            images.put(there, made, manifests.parse(stage.image.manifest), tags=[Tag(name) for name in names])

    @property
    def _blobs(self) -> list[bytes]:
        return [self.image.config, *self.image.layers, self.spare]

    def policy(self, stage: Stage, *statements: Statement) -> None:
        """Set the policy of a repository."""
        with self.writing(stage.account, stage.region) as ctx:
            repository = repositories.get(ctx, RepositoryName(stage.name))
            repositories.set_policy(ctx, repository, document(*statements))

    def registry_policy(self, *statements: Statement, account: str = ACCOUNT, region: str = REGION) -> None:
        """Set the policy of a registry."""
        with self.writing(account, region) as ctx:
            registries.put(ctx, policy=document(*statements))

    def upload(self, stage: Stage, data: bytes = b"") -> str:
        """Begin an upload, and append bytes to it; return its id."""
        with self.writing(stage.account, stage.region) as ctx:
            repository = repositories.get(ctx, RepositoryName(stage.name))
            upload = uploads.begin(ctx, repository)
        if data:
            appender = uploads.Appender.open(ctx, repository, upload.id)
            try:
                appender.write(data)
                appender.commit()
            finally:
                appender.close()
        return upload.id

    def rows(self, stage: Stage) -> dict[str, list[str]]:
        """Return everything that the database holds of a repository, and what is set for its registry."""
        named = tables.repositories
        of_account = named.c.account_id == stage.account
        here = sa.select(named.c.id).where(of_account, named.c.region == stage.region, named.c.name == stage.name)
        set_for_registries = [
            table
            for table in tables.metadata.sorted_tables
            if {"account_id", "region"} <= set(table.c.keys()) and table.name not in IDENTITIES | {"repositories"}
        ]
        held = [table for table in tables.metadata.sorted_tables if "repository_id" in table.c]
        with self.registry.database.read() as tx:
            found = {"repositories": tx.execute(sa.select(named).where(named.c.id.in_(here))).all()}
            for table in set_for_registries:
                held_here = sa.and_(table.c.account_id == stage.account, table.c.region == stage.region)
                found[table.name] = tx.execute(sa.select(table).where(held_here)).all()
            for table in held:
                found[table.name] = tx.execute(sa.select(table).where(table.c.repository_id.in_(here))).all()
        return {name: sorted(map(repr, rows)) for name, rows in found.items()}

    # --- Requests ---

    def call(self, person: Person | None, operation: str, *, region: str = REGION, **arguments: Any) -> Outcome:
        """Call an operation with boto3, unsigned for nobody; return what became of it."""
        try:
            answer = getattr(self._client(person, region), operation)(**arguments)
        except ClientError as refusal:
            error, meta = refusal.response["Error"], refusal.response["ResponseMetadata"]
            return Outcome(meta["HTTPStatusCode"], error["Code"], error["Message"])
        status = answer.pop("ResponseMetadata")["HTTPStatusCode"]
        return Outcome(status, body=json.dumps(answer, default=str, sort_keys=True).encode())

    def as_root(self, operation: str, stage: Stage, **arguments: Any) -> None:
        """Do something, as the root of its account, that only has to be done."""
        done = self.call(self.root_of(stage.account), operation, region=stage.region, **arguments)
        assert done.status == 200, done

    def _client(self, person: Person | None, region: str) -> Any:
        """Return a client with the credentials of whoever asks: making one for each would take longer than all else."""
        if person is None:
            return self._unsigned
        client, credentials = self._signing(region)
        credentials.access_key, credentials.secret_key = person.access_key_id, person.secret
        credentials.token = person.session_token
        return client

    @cache  # noqa: B019 (one for each region, as long as the tests)
    def _signing(self, region: str) -> tuple[Any, Credentials]:
        session = botocore.session.Session()
        session.set_credentials("nobody", "yet")
        client = session.create_client("ecr", region, endpoint_url=self.server.url, config=ONCE)
        credentials = session.get_credentials()
        assert credentials is not None
        return client, credentials

    @cached_property
    def _unsigned(self) -> Any:
        return self.server.client(config=ONCE.merge(Config(signature_version=UNSIGNED)))

    def send(self, token: str | None, method: str, path: str, body: bytes = b"", **headers: str) -> Outcome:
        """Send a request to the distribution door; return what became of it."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["Authorization"] = f"Basic {token}"
        answer = self.server.anonymous(method, path, headers=given, body=body)
        error = {"code": "", "message": ""}
        if answer.status >= 400 and answer.data:  # HEAD has none
            (error,) = answer.json()["errors"]
        return Outcome(answer.status, error["code"], error["message"], answer.data, dict(answer.headers))


@contextlib.contextmanager
def opened(data: Path, stack: Stack, *flags: str, **settings: Any) -> Iterator[World]:
    """Serve an installation of two accounts for the length of a block."""
    with (
        stack.opened_here(data) as stands_on,
        servers.running(data, *servers.flags_of(stands_on), *flags) as server,
    ):
        given: dict[str, Any] = {"data": data, "account_id": ACCOUNT, "region": REGION, "port": server.port}
        registry = app.open_registry(Settings(**given | stands_on | settings))
        try:
            yield World(server, registry)
        finally:
            registry.close()
