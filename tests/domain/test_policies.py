"""Who may do what: the order of deny and allow, accounts, root, sessions, and the words of a refusal."""

from __future__ import annotations

import pytest

from moorage.domain.policies import Decision, Kind, Policy, Principal, Request, assume, decide
from tests.domain.policy_kit import (
    OTHER,
    OWNER,
    REPOSITORY,
    X,
    Y,
    ask,
    on_identity,
    on_repository,
    policy,
    root,
    session,
    user,
)

AWS_X = {"AWS": X.arn}
ACCOUNT_Y = {"AWS": OTHER}
EVERYTHING = on_identity({})
DENY = {"Effect": "Deny"}


# --- The vectors of the reference (ecr-policies.md, section 5) ------------------------


def test_p1_identity_allows() -> None:
    """P1: in one account, an identity policy is enough."""
    assert ask(X, "PutImage", identity=[on_identity({"Action": "ecr:PutImage"})]).allowed


def test_p2_repository_allows() -> None:
    """P2: in one account, a repository policy that names the caller is enough."""
    assert ask(X, "PutImage", repository=on_repository({"Principal": AWS_X, "Action": "ecr:PutImage"})).allowed


def test_p3_deny_wins() -> None:
    """P3: an explicit Deny on the repository wins over an identity policy that allows everything."""
    denying = on_repository(DENY | {"Principal": AWS_X, "Action": "ecr:PutImage"})
    decision = ask(X, "PutImage", identity=[EVERYTHING], repository=denying)
    assert (decision.allowed, decision.reason) == (False, "with an explicit deny in a resource-based policy")
    assert (decision.source, decision.statement) == ("repository policy", "#1")


def test_p4_cross_account_without_repository_policy() -> None:
    """P4: across accounts the identity policy alone is not enough."""
    decision = ask(Y, identity=[on_identity({"Action": "ecr:BatchGetImage"})])
    assert decision.reason == "because no resource-based policy allows the ecr:BatchGetImage action"
    assert not decision.allowed


def test_p5_cross_account_without_identity_policy() -> None:
    """P5: across accounts the repository policy alone is not enough."""
    allowing = on_repository({"Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"}, "Action": "ecr:BatchGetImage"})
    decision = ask(Y, repository=allowing)
    assert decision.reason == "because no identity-based policy allows the ecr:BatchGetImage action"
    assert not decision.allowed


def test_p6_cross_account_with_both() -> None:
    """P6: across accounts both sides together are enough."""
    assert ask(Y, identity=[EVERYTHING], repository=on_repository({"Principal": ACCOUNT_Y})).allowed


@pytest.mark.parametrize(("organisation", "allowed"), [("o-other", False), ("o-ours", True)])
def test_p7_organisation(organisation: str, allowed: bool) -> None:
    """P7: an allow of everybody in an organisation does not reach those of another one."""
    condition = {"StringEquals": {"aws:PrincipalOrgID": "o-ours"}}
    allowing = on_repository({"Principal": "*", "Condition": condition})
    context = {"aws:PrincipalOrgID": organisation}
    assert ask(Y, identity=[EVERYTHING], repository=allowing, context=context).allowed is allowed


@pytest.mark.parametrize(("environment", "allowed"), [("prod", False), ("dev", True)])
def test_p8_resource_tag(environment: str, allowed: bool) -> None:
    """P8: a Deny on a tag of the repository hits the repositories that have it, and no others."""
    condition = {"StringEquals": {"ecr:ResourceTag/environment": "prod"}}
    identity = [on_identity({}, DENY | {"Condition": condition})]
    decision = ask(X, "DescribeImages", identity=identity, context={"ecr:ResourceTag/environment": environment})
    assert decision.allowed is allowed


def test_p9_token_is_not_the_repositorys_to_give() -> None:
    """P9: no repository policy gives the right to an authorization token."""
    but_token = policy(
        {"Effect": "Allow", "NotAction": "ecr:GetAuthorizationToken", "Resource": "*"}, kind=Kind.IDENTITY
    )
    decision = ask(
        X,
        "GetAuthorizationToken",
        identity=[but_token],
        repository=on_repository({"Principal": AWS_X}),
        resource="*",
    )
    assert decision.reason == "because no identity-based policy allows the ecr:GetAuthorizationToken action"
    assert not decision.allowed


@pytest.mark.parametrize(("address", "allowed"), [("203.0.113.9", False), ("198.51.100.7", True)])
def test_p10_address(address: str, allowed: bool) -> None:
    """P10: a Deny outside an address block hits those outside, whatever else allows."""
    everybody = on_repository(
        {"Principal": "*"},
        DENY | {"Principal": "*", "Condition": {"NotIpAddress": {"aws:SourceIp": "198.51.100.0/24"}}},
    )
    assert ask(X, repository=everybody, context={"aws:SourceIp": address}).allowed is allowed


# --- Accounts -----------------------------------------------------------------------


def test_nothing_allows_nothing() -> None:
    """Without any policy the answer is no, in AWS's words."""
    reason = "because no identity-based policy allows the ecr:BatchGetImage action"
    nothing = ask(X)
    assert (nothing.allowed, nothing.reason) == (False, reason)
    assert (nothing.source, nothing.statement) == ("implicit deny", None)


def test_registry_policy_counts_as_the_resources_side() -> None:
    """A registry policy allows as a repository policy does, in one account and across."""
    registry = policy(
        {"Effect": "Allow", "Principal": {"AWS": [X.arn, OTHER]}, "Action": "ecr:*", "Resource": "*"},
        kind=Kind.REGISTRY,
    )
    assert ask(X, registry=registry).source == "registry policy"
    assert ask(Y, registry=registry, identity=[EVERYTHING]).allowed
    assert not ask(Y, registry=registry).allowed


def test_naming_the_own_account_leaves_it_to_identity_policies() -> None:
    """In one account, a policy that names the account gives its users nothing that they were not given by it."""
    to_account = on_repository({"Principal": {"AWS": OWNER}})
    assert not ask(X, repository=to_account).allowed
    assert ask(X, repository=to_account, identity=[EVERYTHING]).source == "identity policy"


def test_a_token_needs_no_resource_policy_of_another_account() -> None:
    """The identity policy alone gives a token, whichever account's registry is named, whatever policies there say."""
    denying = on_repository(DENY | {"Principal": "*"})
    assert ask(Y, "GetAuthorizationToken", identity=[EVERYTHING], repository=denying, resource="*").allowed


def test_everybody_is_everybody_of_the_account() -> None:
    """``Principal: *`` lets the account's own in without identity policy; others need theirs as well."""
    public = on_repository({"Principal": "*"})
    assert ask(X, repository=public).allowed
    assert not ask(Y, repository=public).allowed
    assert ask(Y, repository=public, identity=[EVERYTHING]).allowed


# --- Root ---------------------------------------------------------------------------


def test_root_needs_no_policy() -> None:
    """The root user of the owner may do everything, and the decision says why."""
    assert ask(root(), "DeleteRepository").source == "root"


def test_root_of_another_account_needs_the_resources_side_only() -> None:
    """A foreign root user is stopped by nothing but the missing repository policy."""
    assert not ask(root(OTHER)).allowed
    decision = ask(root(OTHER), repository=on_repository({"Principal": ACCOUNT_Y}))
    assert (decision.allowed, decision.source) == (True, "root, repository policy")


LOCKED = on_repository(DENY | {"Principal": "*"})


@pytest.mark.parametrize("action", ["SetRepositoryPolicy", "GetRepositoryPolicy", "DeleteRepositoryPolicy"])
def test_root_can_always_recover(action: str) -> None:
    """A Deny of everybody and everything leaves the owner's root user the policy itself, and nobody else."""
    assert ask(root(), action, repository=LOCKED).allowed
    assert not ask(X, action, repository=LOCKED, identity=[EVERYTHING]).allowed
    assert not ask(root(OTHER), action, repository=LOCKED).allowed


def test_only_the_owner_recovers() -> None:
    """A Deny holds for the root user of another account, whatever the policy allows that account."""
    shared = on_repository({"Principal": ACCOUNT_Y}, DENY | {"Principal": "*"})
    assert not ask(root(OTHER), "SetRepositoryPolicy", repository=shared).allowed


@pytest.mark.parametrize("action", ["PutImage", "DeleteRepository", "SetRepositoryPolicyX"])
def test_root_is_hit_by_deny(action: str) -> None:
    """Beyond recovery, an explicit Deny in a repository policy hits the root user too."""
    assert ask(root(), action, repository=LOCKED).reason == "with an explicit deny in a resource-based policy"


# --- Sessions and boundaries ----------------------------------------------------------

READ = on_identity({"Action": "ecr:BatchGetImage"}, kind=Kind.SESSION)
READ_BOUNDARY = on_identity({"Action": "ecr:BatchGetImage"})
S = session("deployer")
ROLE = {"AWS": S.role_arn}


def test_session_policy_narrows() -> None:
    """What a session may do is what both its role and its session policy allow."""
    assert ask(S, "BatchGetImage", identity=[EVERYTHING], session=READ).allowed
    decision = ask(S, "PutImage", identity=[EVERYTHING], session=READ)
    assert decision.reason == "because no session policy allows the ecr:PutImage action"
    assert not ask(S, "BatchGetImage", session=READ).allowed


def test_boundary_narrows() -> None:
    """What a user may do is what both their policies and their boundary allow."""
    assert ask(X, "BatchGetImage", identity=[EVERYTHING], boundary=READ_BOUNDARY).allowed
    decision = ask(X, "PutImage", identity=[EVERYTHING], boundary=READ_BOUNDARY)
    assert decision.reason == "because no permissions boundary allows the ecr:PutImage action"


def test_boundary_narrows_across_accounts() -> None:
    """Across accounts the caller's side is narrowed as at home."""
    allowing = on_repository({"Principal": {"AWS": Y.arn}})
    assert not ask(Y, "PutImage", identity=[EVERYTHING], repository=allowing, boundary=READ_BOUNDARY).allowed


@pytest.mark.parametrize(
    ("who", "principal", "allowed"),
    [(S, ROLE, False), (S, {"AWS": S.arn}, True), (S, "*", True), (X, AWS_X, True)],
)
def test_whom_a_repository_names_decides_what_limits_it(who: Principal, principal: object, allowed: bool) -> None:
    """A grant to a role is within its session's limits; one to a session, a user or everybody is not."""
    repository = on_repository({"Principal": principal})
    assert ask(who, "PutImage", repository=repository, session=READ, boundary=READ_BOUNDARY).allowed is allowed


@pytest.mark.parametrize("principal", [ROLE, {"AWS": S.arn}])
def test_a_role_may_be_named_by_role_or_session(principal: object) -> None:
    """Sessions are meant by their own ARN and by their role's; other sessions and roles are not."""
    repository = on_repository({"Principal": principal})
    assert ask(S, repository=repository).allowed
    assert not ask(session("reader"), repository=repository).allowed
    assert ask(session("deployer", "t"), repository=repository).allowed is (principal == ROLE)


def test_limits_deny_too() -> None:
    """A Deny in a session policy or a boundary hits what a repository policy gives as well."""
    denying = [{}, DENY | {"Action": "ecr:Put*"}]
    public = on_repository({"Principal": "*"})
    by_session = ask(X, "PutImage", repository=public, session=on_identity(*denying, kind=Kind.SESSION))
    assert by_session.reason == "with an explicit deny in a session policy"
    by_boundary = ask(X, "PutImage", repository=public, boundary=on_identity(*denying))
    assert by_boundary.reason == "with an explicit deny in a permissions boundary"


# --- Principals -----------------------------------------------------------------------

CODEBUILD = Principal("codebuild.amazonaws.com", "", "codebuild.amazonaws.com")


def test_services_are_allowed_by_the_repository_alone() -> None:
    """A service needs no identity policy, and gets nothing from an allow of everybody."""
    naming = {
        "Principal": {"Service": "codebuild.amazonaws.com"},
        "Condition": {"StringEquals": {"aws:SourceAccount": OWNER}},
    }
    context = {"aws:SourceAccount": OWNER}
    assert ask(CODEBUILD, repository=on_repository(naming), context=context).allowed
    assert not ask(CODEBUILD, repository=on_repository(naming), context={"aws:SourceAccount": OTHER}).allowed
    assert not ask(CODEBUILD, repository=on_repository({"Principal": "*"})).allowed
    assert not ask(CODEBUILD, identity=[EVERYTHING]).allowed


def test_denying_everybody_denies_services() -> None:
    """A Deny of ``*`` leaves no service out."""
    both = on_repository({"Principal": {"Service": "codebuild.amazonaws.com"}}, DENY | {"Principal": "*"})
    assert not ask(CODEBUILD, repository=both).allowed


@pytest.mark.parametrize(
    ("spared", "allowed"),
    [
        ([X.arn], True),
        ([X.arn, OWNER], True),
        ([OWNER], False),
        ([Y.arn], False),
        (["*"], True),
    ],
)
def test_not_principal_spares_whom_it_names(spared: list[str], allowed: bool) -> None:
    """A Deny with NotPrincipal hits all but those named themselves: naming the account spares its root user only."""
    denying = on_repository({"Effect": "Deny", "NotPrincipal": {"AWS": spared}})
    assert ask(X, identity=[EVERYTHING], repository=denying).allowed is allowed


def test_not_principal_spares_roots_and_roles() -> None:
    """Naming an account spares its root user, naming a role its sessions."""
    denying = on_repository({"Effect": "Deny", "NotPrincipal": {"AWS": [OWNER, S.role_arn]}})
    assert ask(root(), repository=denying).allowed
    assert ask(S, identity=[EVERYTHING], repository=denying).allowed
    assert not ask(root(OTHER), repository=denying).allowed


def test_allowing_all_but_an_account_allows_nobody_of_it() -> None:
    """An Allow with NotPrincipal is read narrowly: an account named is all of the account."""
    allowing = on_repository({"NotPrincipal": {"AWS": OTHER}})
    assert ask(X, repository=allowing).allowed
    assert not ask(Y, identity=[EVERYTHING], repository=allowing).allowed
    assert not ask(CODEBUILD, repository=allowing).allowed


def test_names_like_root_are_not_root() -> None:
    """Only the ARN of an account's root user is root."""
    assert not Principal(f"arn:aws:iam::{OWNER}:user/root", OWNER, "AIDA").is_root
    assert not Principal("root", OWNER, "AIDA").is_root


# --- Elements -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "action", "allowed"),
    [
        ("*", "PutImage", True),
        ("ecr:*", "PutImage", True),
        ("ECR:putimage", "PutImage", True),
        ("ecr:Batch*", "BatchGetImage", True),
        ("ecr:Batch*", "PutImage", False),
        ("ecr:?utImage", "PutImage", True),
        ("ecr:*Image", "DescribeImages", False),
        ("s3:*", "PutImage", False),
        ("*:*", "PutImage", True),
    ],
)
def test_actions(pattern: str, action: str, allowed: bool) -> None:
    """Actions match by wildcards, whole, in any case."""
    assert ask(X, action, identity=[on_identity({"Action": pattern})]).allowed is allowed


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (REPOSITORY, True),
        ("*", True),
        (f"arn:aws:ecr:*:{OWNER}:repository/team/*", True),
        (f"arn:aws:ecr:us-east-1:{OWNER}:repository/team/ap?", True),
        (f"arn:aws:ecr:us-east-1:{OWNER}:repository/team", False),
        (REPOSITORY.upper().replace("ARN", "arn"), False),
    ],
)
def test_resources(pattern: str, allowed: bool) -> None:
    """Resources match by wildcards, whole, with their case; NotResource is the contrary, also on a repository."""
    assert ask(X, identity=[on_identity({"Resource": pattern})]).allowed is allowed
    assert ask(X, identity=[on_identity({"NotResource": pattern})]).allowed is not allowed
    assert ask(X, repository=on_repository({"Principal": AWS_X, "Resource": pattern})).allowed is allowed


def test_actions_on_nothing_in_particular_need_a_star() -> None:
    """A permission on repositories is none on the registry as a whole."""
    on_repositories = on_identity({"Resource": f"arn:aws:ecr:us-east-1:{OWNER}:repository/*"})
    assert not ask(X, "GetAuthorizationToken", identity=[on_repositories], resource="*").allowed


def test_not_action_denies_the_rest() -> None:
    """NotAction means every other action."""
    only_reads = policy({"Effect": "Deny", "NotAction": "ecr:BatchGet*", "Resource": "*"}, kind=Kind.IDENTITY)
    assert ask(X, "BatchGetImage", identity=[EVERYTHING, only_reads]).allowed
    assert not ask(X, "PutImage", identity=[EVERYTHING, only_reads]).allowed


def test_the_log_learns_which_statement_decided() -> None:
    """A decision names the policy and the Sid, or the number, of the statement that made it."""
    named = on_identity({"Action": "ecr:Get*"}, {"Sid": "Pull it", "Action": "ecr:Batch*"}, name="ReadOnly")
    allowing = on_repository({"Effect": "Deny", "Principal": {"AWS": X.arn}}, {"Principal": ACCOUNT_Y})
    decision = ask(Y, identity=[named], repository=allowing)
    assert (decision.source, decision.statement) == ("identity policy ReadOnly, repository policy", "Pull it, #2")


def test_a_policy_cannot_serve_in_another_place() -> None:
    """A policy of the wrong kind is a bug, not a decision."""
    with pytest.raises(TypeError, match="identity policy cannot serve as repository policy"):
        ask(X, repository=EVERYTHING)
    with pytest.raises(TypeError):
        ask(X, identity=[on_repository({"Principal": "*"})])


# --- AWS's managed policies -------------------------------------------------------------

PULL_ONLY = ["GetAuthorizationToken", "BatchGetImage", "GetDownloadUrlForLayer", "BatchImportUpstreamImage"]
READ_ONLY = [
    "GetAuthorizationToken",
    "BatchCheckLayerAvailability",
    "GetDownloadUrlForLayer",
    "GetRepositoryPolicy",
    "DescribeRepositories",
    "ListImages",
    "DescribeImages",
    "BatchGetImage",
    "GetLifecyclePolicy",
    "GetLifecyclePolicyPreview",
    "ListTagsForResource",
    "DescribeImageScanFindings",
]
POWER_USER = [*READ_ONLY, "InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload", "PutImage"]


def managed(name: str, actions: list[str]) -> Policy:
    return on_identity({"Action": [f"ecr:{action}" for action in actions]}, name=name)


@pytest.mark.parametrize(("name", "actions"), [("Pull", PULL_ONLY), ("Read", READ_ONLY), ("Power", POWER_USER)])
def test_managed_policies(name: str, actions: list[str]) -> None:
    """Policies like AWS's managed ones allow exactly what they list."""
    listed = managed(name, actions)
    for action in {*PULL_ONLY, *POWER_USER, "DeleteRepository", "SetRepositoryPolicy", "BatchDeleteImage"}:
        assert ask(X, action, identity=[listed]).allowed is (action in actions)


# --- Taking on roles --------------------------------------------------------------------

ROLE_ARN = f"arn:aws:iam::{OWNER}:role/deployer"
ASSUME_ANY = on_identity({"Action": "sts:AssumeRole"})
GITHUB = Principal(f"arn:aws:iam::{OWNER}:oidc-provider/token.actions.example.com", OWNER, "repo:moorage/app")


def may_assume(
    who: Principal, principal: object, *identity: Policy, effect: str = "Allow", action: str = "AssumeRole"
) -> Decision:
    statement = {"Effect": effect, "Principal": principal, "Action": f"sts:{action}"}
    trust = policy(statement, kind=Kind.TRUST)
    return assume(Request(who, f"sts:{action}", ROLE_ARN), owner=OWNER, trust=trust, identity=identity)


def test_a_role_must_trust() -> None:
    """Without the trust policy nobody takes on a role: neither by identity policy, nor as root."""
    elsewhere = {"AWS": user("zoe").arn}
    reason = "because no role trust policy allows the sts:AssumeRole action"
    assert may_assume(X, elsewhere, ASSUME_ANY).reason == reason
    assert may_assume(root(), elsewhere).reason == reason


def test_trusting_a_user_is_enough_at_home_only() -> None:
    """A user named is trusted; one of another account must be allowed there too."""
    assert may_assume(X, AWS_X).allowed
    assert not may_assume(Y, {"AWS": Y.arn}).allowed
    assert may_assume(Y, {"AWS": Y.arn}, ASSUME_ANY).allowed


def test_trusting_an_account_leaves_it_to_the_account() -> None:
    """Users of a trusted account need an identity policy; its root user does not."""
    assert not may_assume(X, {"AWS": OWNER}).allowed
    assert may_assume(X, {"AWS": OWNER}, ASSUME_ANY).allowed
    assert may_assume(root(), {"AWS": OWNER}).allowed


def test_trust_denies() -> None:
    """A Deny in the trust policy wins, and is called by its name."""
    assert may_assume(X, AWS_X, effect="Deny").reason == "with an explicit deny in the role trust policy"


def test_web_identities_are_trusted_by_their_provider() -> None:
    """A web identity is allowed by a trust policy that names its provider, and not by one for everybody."""
    assert may_assume(GITHUB, {"Federated": GITHUB.arn}, action="AssumeRoleWithWebIdentity").allowed
    assert not may_assume(GITHUB, "*", action="AssumeRoleWithWebIdentity").allowed
    assert not may_assume(GITHUB, {"AWS": OWNER}, action="AssumeRoleWithWebIdentity").allowed
    assert not may_assume(X, {"Federated": GITHUB.arn}, action="AssumeRoleWithWebIdentity").allowed


def test_decide_needs_no_context() -> None:
    """A request without condition keys is a whole request."""
    request = Request(X, "ecr:PutImage", REPOSITORY)
    assert decide(request, owner=OWNER, identity=[EVERYTHING]).allowed


def test_a_decision_shows_its_statements() -> None:
    """A decision holds the statements that made it, as they were written, and where there is none to be found."""
    deny = {"Sid": "Never", "Effect": "Deny", "Action": "ecr:Delete*", "Resource": "*"}
    everything = {"Effect": "Allow", "Action": "ecr:*", "Resource": "*"}
    mixed = policy(everything, deny, kind=Kind.IDENTITY, name="mixed")
    (denied,) = ask(X, "DeleteRepository", identity=[mixed]).causes
    (allowed,) = ask(X, identity=[mixed]).causes
    assert denied.placed is not None
    assert denied.statement is not None
    assert allowed.statement is not None
    assert denied.placed.policy.written(denied.statement) == deny
    assert mixed.written(allowed.statement) == everything
    silent = ask(Y, repository=on_repository({"Principal": "*"}))
    assert (silent.causes, silent.missing and silent.missing.label) == ((), "identity policy")
    assert [(one.placed.source, one.allows is not None) for one in silent.case.findings()] == [
        ("repository policy", True)
    ]
