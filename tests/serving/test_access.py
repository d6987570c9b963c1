from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from annoseq.errors import OptionError
from annoseq.serving.access import AccessPolicy, is_loopback, read_tokens

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"


def token_file(folder: Path, content: str, *, mode: int = 0o600) -> Path:
    path = folder / "tokens"
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("notes.example.org", False),
        ("localhost.example.org", False),
    ],
)
def test_loopback_addresses_are_known(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_another_host_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(OptionError) as error:
        AccessPolicy.choose("0.0.0.0")
    assert str(error.value) == (
        "--host 0.0.0.0 can be reached from other machines, and then a token is needed. Give "
        "--token-file, or leave --host off: then only this machine can reach it."
    )
    policy = AccessPolicy.choose("0.0.0.0", token_file=token_file(tmp_path, TOKEN))
    assert len(policy.tokens) == 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("127.0.0.1:8000", True),
        ("localhost", True),
        ("LOCALHOST:9", True),
        ("[::1]:8000", True),
        ("evil.example", False),
        ("evil.example:8000", False),
        ("localhost.evil.example", False),
        ("localhost:8000@evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.7:8000", False),
        ("", False),
        ("localhost:", False),
        ("localhost:8000:8000", False),
        ("localhost evil.example", False),
        ("notes.example.org", True),
        ("Notes.Example.org:443", True),
    ],
)
def test_a_loopback_server_answers_to_its_names_alone(header: str, *, expected: bool) -> None:
    policy = AccessPolicy.choose("127.0.0.1", allowed_hosts=["notes.example.org"])
    assert policy.accepts_host(header) is expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("10.0.0.7:8000", True),
        ("[2001:db8::1]:8000", True),
        ("evil.example", False),
        ("10.0.0.7.evil.example", False),
    ],
)
def test_a_public_server_answers_to_addresses_which_dns_cannot_forge(
    tmp_path: Path, header: str, *, expected: bool
) -> None:
    policy = AccessPolicy.choose("0.0.0.0", token_file=token_file(tmp_path, TOKEN))
    assert policy.accepts_host(header) is expected


@pytest.mark.parametrize("name", ["https://a.example", "a.example:80", "a b", "", "a/b"])
def test_an_allowed_host_is_a_name(name: str) -> None:
    with pytest.raises(OptionError, match="is no name of a host") as error:
        AccessPolicy.choose("127.0.0.1", allowed_hosts=[name])
    assert not name or name not in str(error.value)


def test_tokens_are_found_by_bearer_and_basic(tmp_path: Path) -> None:
    path = token_file(tmp_path, f"# reviewers\n\nada {TOKEN}\n{OTHER}\n")
    policy = AccessPolicy.choose("127.0.0.1", token_file=path)
    basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    for authorization in (f"Bearer {TOKEN}", f"bearer  {TOKEN} ", f"Basic {basic}"):
        found = policy.holder(authorization)
        assert found is not None
        assert found.holder == "ada"
    other = policy.holder(f"Bearer {OTHER}")
    assert other is not None
    assert other.holder is None


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        TOKEN,
        f"Token {TOKEN}",
        "Basic !!!",
        "Basic " + base64.b64encode(TOKEN.encode()).decode(),
        "Bearer \udcff",
        "Basic \u00e9",
    ],
)
def test_anything_else_is_no_token(tmp_path: Path, authorization: str) -> None:
    policy = AccessPolicy.choose("127.0.0.1", token_file=token_file(tmp_path, TOKEN))
    assert policy.holder(authorization) is None


def test_a_policy_does_not_show_its_tokens(tmp_path: Path) -> None:
    policy = AccessPolicy.choose("127.0.0.1", token_file=token_file(tmp_path, f"ada {TOKEN}"))
    assert TOKEN not in repr(policy)
    assert repr(policy.tokens[0].digest) not in repr(policy)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602, 0o666])
def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = token_file(tmp_path, TOKEN, mode=mode)
    with pytest.raises(OptionError) as error:
        list(read_tokens(path))
    assert str(error.value) == (
        f"--token-file {path} can be read or written by others (mode {mode:04o}), and a token is "
        f"a secret. Run: chmod 600 {path}"
    )


def test_a_missing_token_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="cannot be read: No such file or directory"):
        list(read_tokens(tmp_path / "none"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no token. Run: openssl rand -hex 32"),
        ("# none\n", "holds no token. Run: openssl rand -hex 32"),
        ("short\n", "line 1 holds no token"),
        (f"{TOKEN}\nMs Ames came {TOKEN}\n", "line 2 holds no token"),
        (f"a<b {TOKEN}\n", "line 1 holds no token"),
        (f"ada {TOKEN}\nbob {TOKEN}\n", "line 2 repeats a token"),
        (f"{TOKEN}\u00e9\n", "is not plain ASCII, from byte 32 on"),
    ],
)
def test_a_token_file_without_tokens_is_an_error(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(OptionError, match=message) as error:
        list(read_tokens(token_file(tmp_path, content)))
    assert not {word for word in content.split() if len(word) > 4} & set(str(error.value).split())
