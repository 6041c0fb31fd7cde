"""What the person who runs the app may set."""

from __future__ import annotations

import pytest

from fer_demo.errors import BadSetting
from fer_demo.settings import Settings


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environment(
        {"FER_HUB_REPOS": " a/b@v1, c/d ,", "FER_HUB_DEADLINE": "7.5", "FER_THREADS": "3"}
    )
    assert settings.hub_repos == ("a/b@v1", "c/d")
    assert (settings.hub_deadline, settings.threads, settings.max_faces) == (7.5, 3, 50)


def test_an_empty_list_of_repositories_is_one_that_is_not_set() -> None:
    by_default = Settings.from_environment({}).hub_repos
    for said, meant in (("", by_default), (" , ", by_default), ("bundled", ()), ("a/b", ("a/b",))):
        assert Settings.from_environment({"FER_HUB_REPOS": said}).hub_repos == meant


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("me-fer.hf.space", "me-fer.hf.space"),
        ("me-fer.hf.space/, fer.example.org", "me-fer.hf.space"),
        ("example.org/) [x](y", ""),
        ("", ""),
    ],
)
def test_the_host_of_a_space_is_one_that_can_stand_in_a_link(value: str, host: str) -> None:
    assert Settings.from_environment({"SPACE_HOST": value}).space_host == host


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FER_HUB_REPOS", "resnet18"),
        ("FER_HUB_REPOS", "https://example.org/a/b"),
        ("FER_HUB_REPOS", "a/b@"),
        ("FER_HUB_DEADLINE", "soon"),
        ("FER_HUB_DEADLINE", "-1"),
        ("FER_HUB_DEADLINE", "nan"),
        ("FER_MAX_FACES", "2.5"),
        ("FER_THREADS", "inf"),
        ("FER_THREADS", "2147483648"),
        ("FER_HUB_DEADLINE", "1e10"),
        ("FER_LIVE_SECONDS", "86400"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_in_a_sentence(name: str, value: str) -> None:
    with pytest.raises(BadSetting, match=f"^{name} must .*\\.$"):
        Settings.from_environment({name: value})
