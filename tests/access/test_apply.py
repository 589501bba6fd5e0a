"""Access as a file: `moorage apply` and `moorage access export`, beside a running server."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import KeySet, RSAKey
from typer.testing import CliRunner, Result

from moorage import app
from moorage.cli.main import app as command
from moorage.config import Settings
from moorage.domain.managed import MANAGED
from tests.access.kit import POWER_USER, READ_ONLY, attempt, credentials, moorage
from tests.servers import ACCOUNT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

TRUST = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
FILE = f"""
[policies.team-a]
document = {{ file = "team-a.json" }}

[[policies.team-b.document.Statement]]
Effect = "Allow"
Action = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
Resource = "arn:aws:ecr:*:*:repository/team-b/*"

[groups.readers]
policies = ["{READ_ONLY}"]

[users.ci]
groups = ["readers"]
policies = ["team-a"]
boundary = "{POWER_USER}"
tags = {{ team = "a" }}

[users.bob]

[roles.deploy]
trust = '''{json.dumps({"Statement": TRUST})}'''
max_session = 3600
policies = ["team-b", "{POWER_USER}"]

[oidc."https://issuer.example"]
audiences = ["registry"]

[accounts.111122223333]
name = "the other team"

[accounts.111122223333.users.ci]
policies = ["{READ_ONLY}"]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a registry that nobody has used."""
    app.prepare(Settings(data=tmp_path / "data", account_id=ACCOUNT))
    return tmp_path / "data"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of access above."""
    statement = {"Effect": "Allow", "Action": "ecr:*", "Resource": "arn:aws:ecr:*:*:repository/team-a/*"}
    (tmp_path / "team-a.json").write_text(json.dumps({"Statement": statement}))
    path = tmp_path / "access.toml"
    path.write_text(FILE)
    return path


def run(data: Path, *arguments: str, text: str | None = None) -> Result:
    """Run a command."""
    flags = ["--data", str(data), *([] if "--account-id" in arguments else ["--account-id", ACCOUNT])]
    return CliRunner().invoke(command, [*arguments, *flags], input=text)


def done(data: Path, *arguments: str, text: str | None = None) -> str:
    """Run a command that must work; return what it prints."""
    result = run(data, *arguments, text=text)
    assert result.exit_code == 0, result.output
    return result.stdout


def changes(data: Path, *arguments: str, text: str | None = None) -> list[tuple[str, str, str]]:
    """Apply a file; return what changed."""
    found = json.loads(done(data, "apply", *arguments, "--json", text=text))["changes"]
    return [(one["action"], one["kind"], one["name"]) for one in found]


def test_a_file_becomes_users_groups_roles_and_policies(data: Path, file: Path) -> None:
    """All that the file says is there afterwards, and the diff tells it."""
    told = done(data, "apply", str(file))

    assert "+ user ci" in told
    assert "+ groups: readers" in told
    assert "+ account 111122223333" in told
    assert told.endswith("9 created, 0 updated, 0 deleted\n")
    user = json.loads(done(data, "user", "show", "ci", "--json"))
    assert (user["groups"], user["policies"], user["groupPolicies"]) == (["readers"], ["team-a"], [READ_ONLY])
    assert (user["boundary"], user["tags"]) == (POWER_USER, {"team": "a"})
    role = json.loads(done(data, "role", "list", "--json"))[0]
    assert (role["name"], role["maxSession"], role["policies"]) == ("deploy", 3600, [POWER_USER, "team-b"])
    assert [row["issuer"] for row in json.loads(done(data, "oidc", "list", "--json"))] == ["https://issuer.example"]
    other = json.loads(done(data, "user", "list", "--account-id", "111122223333", "--json"))
    assert [(row["name"], row["policies"]) for row in other] == [("ci", [READ_ONLY])]
    assert json.loads(done(data, "account", "show", "111122223333", "--json"))["name"] == "the other team"


def test_applying_again_changes_nothing(data: Path, file: Path) -> None:
    """A second time there is nothing to change, with or without pruning; so it is when only white space differs."""
    done(data, "apply", str(file))
    (file.parent / "team-a.json").write_text(
        json.dumps(json.loads((file.parent / "team-a.json").read_text()), indent=7)
    )
    for flags in ((), ("--dry-run",), ("--prune",), ("--prune", "--dry-run")):
        assert done(data, "apply", str(file), *flags) == "nothing to change\n"


def test_a_dry_run_changes_nothing_and_tells_by_its_status(data: Path, file: Path) -> None:
    """A dry run prints the same diff, ends with status 1 where something would change, and leaves everything as it is."""
    first = run(data, "apply", str(file), "--dry-run")
    again = run(data, "apply", str(file), "--dry-run", "--json")
    assert (first.exit_code, again.exit_code) == (1, 1)
    assert first.stdout.endswith("9 to create, 0 to update, 0 to delete\n")
    assert json.loads(again.stdout)["applied"] is False
    assert json.loads(done(data, "user", "list", "--json")) == []
    assert len(changes(data, str(file))) == 9
    assert run(data, "apply", str(file), "--dry-run").exit_code == 0


def test_a_list_in_the_file_is_the_whole_list(data: Path, file: Path) -> None:
    """What a named user's list no longer has is taken away; a field that is left out stays as it is."""
    done(data, "apply", str(file))
    text = f'[users.ci]\npolicies = ["{READ_ONLY}"]\n[users.bob]\n'
    told = done(data, "apply", "-", text=text)
    assert "~ user ci" in told
    assert f"+ policies: {READ_ONLY}" in told
    assert "- policies: team-a" in told
    user = json.loads(done(data, "user", "show", "ci", "--json"))
    assert (user["groups"], user["policies"], user["boundary"]) == (["readers"], [READ_ONLY], POWER_USER)
    done(data, "apply", "-", text='[users.ci]\nboundary = ""\ngroups = []\ntags = {}\n')
    user = json.loads(done(data, "user", "show", "ci", "--json"))
    assert (user["groups"], user["boundary"], user["tags"]) == ([], None, {})


def test_pruning_removes_what_the_named_sections_do_not_name(data: Path, file: Path) -> None:
    """Pruned are kinds and accounts that the file speaks of, and no others; without the flag nothing is removed."""
    done(data, "apply", str(file))
    text = "[users.bob]\n[groups]\n"
    assert changes(data, "-", text=text) == []
    assert changes(data, "-", "--prune", text=text) == [("delete", "user", "ci"), ("delete", "group", "readers")]
    assert json.loads(done(data, "role", "list", "--json")) != []
    assert json.loads(done(data, "user", "list", "--account-id", "111122223333", "--json")) != []
    assert changes(data, "-", "--prune", text="[accounts.111122223333.users]") == [("delete", "user", "ci")]


def test_documents_differ_by_what_they_say(data: Path, file: Path) -> None:
    """A changed policy is told line by line, and takes effect."""
    done(data, "apply", str(file))
    told = done(
        data,
        "apply",
        "-",
        text=FILE[FILE.index("[[policies.team-b") : FILE.index("[groups")].replace("team-b/*", "b/*"),
    )
    assert "~ policy team-b" in told
    assert [line.split() for line in told.splitlines() if "Resource" in line] == [
        ["-", '"Resource":', '"arn:aws:ecr:*:*:repository/team-b/*"'],
        ["+", '"Resource":', '"arn:aws:ecr:*:*:repository/b/*"'],
    ]
    assert "repository/b/*" in done(data, "access", "export")


WRONG = {
    "users.ci.polices: is not known here": "[users.ci]\npolices = []",
    "user: is not known here": "[user.ci]",
    "accounts.123: an account is twelve digits": "[accounts.123]",
    "accounts.111122223333.users.ci.keys: is not known": "[accounts.111122223333.users.ci]\nkeys = 1",
    "users.ci: There is no policy nope": '[users.ci]\npolicies = ["nope"]',
    "users.ci: There is no group nope": '[users.ci]\ngroups = ["nope"]',
    "users.ci: There is no policy gone": '[users.ci]\nboundary = "gone"',
    "users.ci.policies[1]: must be text": '[users.ci]\npolicies = ["a", 2]',
    "users.ci.policies: must be a list": '[users.ci]\npolicies = "a"',
    'users."a/b": Invalid parameter': '[users."a/b"]',
    "users: must be a table": "users = 1",
    "policies.p: document is missing": "[policies.p]",
    "policies.p.document: not JSON": '[policies.p]\ndocument = "{"',
    "policies.p.document: Statement": "[policies.p.document]\nStatement = []",
    "policies.p.document: cannot be JSON": "[policies.p.document]\nStatement = 1979-05-27",
    "policies.p.document: ": '[policies.p]\ndocument = { file = "missing.json" }',
    "roles.r: trust is missing": "[roles.r]",
    "roles.r.max_session: must be": "[roles.r]\nmax_session = 1",
    "roles.r.trust: ": "[[roles.r.trust.Statement]]\nEffect = 'Allow'\nAction = 'ecr:*'",
    'oidc."ftp://x": Invalid parameter': "[oidc.'ftp://x']\naudiences = ['a']",
    'oidc."https://x": Invalid parameter': "[oidc.'https://x']\naudiences = []",
    'oidc."https://y": Invalid parameter': "[oidc.'https://y']\naudiences = ['a']\nkeys = { keys = [{ kty = 'oct', k = 'AAAA' }] }",
    f"accounts.{ACCOUNT}: the sections outside": f"[users]\n[accounts.{ACCOUNT}.users]",
    "not TOML: ": "[users",
    "without policy used: ": "[policies]",
}


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a registry with a policy that cannot go, for files that change nothing."""
    folder = tmp_path_factory.mktemp("data")
    app.prepare(Settings(data=folder, account_id=ACCOUNT))
    bounded = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    done(folder, "policy", "put", "used", "-", text=json.dumps({"Statement": bounded}))
    done(folder, "user", "create", "x")
    done(folder, "user", "boundary", "x", "used")
    return folder


@pytest.mark.parametrize("message", WRONG)
def test_an_error_names_its_place_and_nothing_changes(unchanged: Path, message: str) -> None:
    """A file that cannot be carried out whole is refused with the place of the fault, and nothing of it is done."""
    prune = ["--prune"] if message.startswith("without") else []
    before = done(unchanged, "access", "export", "--all-accounts")

    result = run(unchanged, "apply", "-", *prune, text=f"{WRONG[message]}\n[groups.fine]\n")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"moorage: <stdin>: {message}")
    assert result.stderr.count("\n") == 1
    assert done(unchanged, "access", "export", "--all-accounts") == before


def test_sections_of_an_account_that_is_not_there(data: Path) -> None:
    """Sections outside of accounts are about an account that exists; those inside make theirs."""
    result = run(data, "apply", "-", "--account-id", "999999999999", text="[users.ci]")
    assert (result.exit_code, "There is no account 999999999999" in result.stderr) == (2, True)
    assert changes(data, "-", "--account-id", "999999999999", text="[accounts.999999999999.users.ci]") == [
        ("create", "account", "999999999999"),
        ("create", "user", "ci"),
    ]


def test_what_is_applied_takes_effect_on_a_running_server(server: Server, repository: str, user: str) -> None:
    """A user gets what the file gives with the next request, and loses it with the file that takes it away."""
    client = server.client(**credentials(server, user))
    moorage(server, "apply", "-", text=f'[users."{user}"]\npolicies = ["{READ_ONLY}"]')
    assert client.list_images(repositoryName=repository)["imageIds"] == []
    moorage(server, "apply", "-", text=f'[users."{user}"]\npolicies = []')
    assert attempt(server, "apply", "-", "--dry-run", text=f'[users."{user}"]\npolicies = []').exit_code == 0
    with pytest.raises(client.exceptions.ClientError):
        client.list_images(repositoryName=repository)


# --- Any state, any file ----------------------------------------------------------------

NAMES = st.text(string.ascii_letters + string.digits + "+=,.@_-", min_size=1, max_size=8).filter(
    lambda n: n not in MANAGED
)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
STATEMENT = st.fixed_dictionaries(
    {"Effect": st.sampled_from(["Allow", "Deny"]), "Action": st.lists(st.sampled_from(["ecr:PutImage", "ecr:*"]), min_size=1), "Resource": st.just("*")},
    optional={"Sid": st.text(string.ascii_letters, min_size=1, max_size=5), "Condition": st.dictionaries(st.just("StringEquals"), st.dictionaries(st.just("aws:PrincipalTag/a"), TEXTS, min_size=1, max_size=1), min_size=1)},
)  # fmt: skip
KEY_SET = KeySet([RSAKey.generate_key(2048, private=True)]).as_dict(private=False)


@st.composite
def accesses(draw: st.DrawFn) -> dict[str, Any]:
    """What a file may say, as JSON: everything in it names only what is in it."""
    policies = draw(st.lists(NAMES, max_size=3, unique=True))
    groups = draw(st.lists(NAMES, max_size=2, unique=True))
    attachable = st.lists(st.sampled_from([*policies, *MANAGED]), max_size=3, unique=True)
    boundary = st.sampled_from(["", *policies, *MANAGED])
    roles = {
        "trust": st.just({"Statement": [TRUST]}),
        "max_session": st.integers(900, 43200),
        "policies": attachable,
        "boundary": boundary,
    }
    users = {
        "groups": st.lists(st.sampled_from(groups), unique=True) if groups else st.just([]),
        "policies": attachable,
        "boundary": boundary,
        "tags": st.dictionaries(TEXTS.filter(bool), TEXTS, max_size=2),
    }
    issuers = {
        "audiences": st.lists(TEXTS.filter(bool), min_size=1, max_size=2),
        "keys_url": st.sampled_from(["", "https://k.example/keys"]),
        "keys": st.sampled_from(["", json.dumps(KEY_SET)]),
    }
    return {
        "policies": {name: {"document": json.dumps({"Statement": draw(st.lists(STATEMENT, min_size=1, max_size=2))})} for name in policies},
        "groups": {name: {"policies": draw(attachable)} for name in groups},
        "users": draw(st.dictionaries(NAMES, st.fixed_dictionaries({}, optional=users), max_size=3)),
        "roles": draw(st.dictionaries(NAMES, st.fixed_dictionaries({"trust": roles.pop("trust")}, optional=roles), max_size=2)),
        "oidc": draw(st.dictionaries(st.sampled_from(["https://a.example", "https://b.example/x"]), st.fixed_dictionaries({"audiences": issuers.pop("audiences")}, optional=issuers), max_size=2)),
    }  # fmt: skip


def as_toml(value: dict[str, Any]) -> str:
    """Write what a file says as inline tables, in a way of its own."""

    def inline(one: Any) -> str:
        match one:
            case dict():
                return "{" + ", ".join(f"{inline(key)} = {inline(item)}" for key, item in one.items()) + "}"
            case list():
                return f"[{', '.join(map(inline, one))}]"
            case str():
                return '"' + "".join(f"\\U{ord(c):08x}" for c in one) + '"'
            case _:
                return str(one)

    return "\n".join(f"{key} = {inline(item)}" for key, item in value.items())


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=accesses(), after=accesses())
def test_any_state_becomes_any_file(data: Path, before: dict[str, Any], after: dict[str, Any]) -> None:
    """
    From any state any file can be reached, applying it again changes nothing, and what is exported is what there is:
    it applies without a change, and to an empty registry as the same.
    """
    changes(data, "-", "--prune", text=as_toml(before))
    changes(data, "-", "--prune", text=as_toml(after))
    assert changes(data, "-", "--prune", text=as_toml(after)) == []
    exported = done(data, "access", "export")
    assert changes(data, "-", "--prune", text=exported) == []
    everything = done(data, "access", "export", "--all-accounts")
    assert changes(data, "-", "--prune", text=everything) == []

    empty = "\n".join(f"[{section}]" for section in ("policies", "groups", "users", "roles", "oidc"))
    changes(data, "-", "--prune", text=empty)
    assert done(data, "access", "export") == "\n\n".join(empty.split("\n")) + "\n"
    changes(data, "-", "--prune", text=exported)
    assert done(data, "access", "export") == exported
