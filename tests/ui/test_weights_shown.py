"""What the Photo and About pages say of the weights that answer, in-process."""

from __future__ import annotations

import streamlit as st
from streamlit import config
from streamlit.runtime.secrets import Secrets

from fer_demo import weights
from fer_demo.ui import resources
from tests.factories import write_weights_folder
from tests.hub_server import restart
from tests.ui.photo_page import captions, click, headings, texts


def test_no_weights_is_one_sentence(app, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    click(app.run(), "example-one")
    assert not app.exception
    assert len(app.error) == 1


def test_the_page_says_which_weights_answered(one):
    assert "Weights: sure, bundled with this app." in captions(one)
    one.selectbox(key="model").set_value("unsure").run()
    assert "Weights: unsure, bundled with this app." in captions(one)


def test_bundled_weights_that_serve_instead_of_the_hubs_say_why(app, monkeypatch):
    restart(monkeypatch)
    resources.weights.clear()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("FER_HUB_REPOS", "me/none")
    click(app.run(), "example-one")
    assert len(headings(app)) == 1
    notices = [text.value for text in app.text]
    (notice,) = [words for words in notices if words.startswith("The weights of me/none ")]
    assert "the Hub could not be reached" in notice
    assert notice.endswith("The bundled sure serves instead.")
    assert "Weights: sure, bundled with this app." in captions(app)
    app.switch_page("fer_demo/ui/about.py").run()
    assert notice in texts(app)


def test_secrets_of_streamlit_name_the_repositories(models, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("FER_HUB_REPOS", "")
    secrets = Secrets()
    monkeypatch.setattr(st, "secrets", secrets)
    file = tmp_path / "secrets.toml"
    option = config.get_config_options()["secrets.files"]
    monkeypatch.setattr(option, "_get_val_func", lambda: [str(file)])
    resources.settings.clear()
    assert resources.settings().hub_repos == (), "no file is no failure"
    assert "".join(capfd.readouterr()) == ""
    file.write_text('FER_HUB_REPOS = "me/fer-tiny@v1"\n')
    resources.settings.clear()
    assert resources.settings().hub_repos == ("me/fer-tiny@v1",)


def test_the_about_page_says_what_is_running(app):
    app.switch_page("fer_demo/ui/about.py").run()
    assert not app.exception
    words = "\n".join(m.value for m in app.markdown)
    for section in ("Responsible use", "Privacy", "How it works", "Limits", "Licences"):
        assert section in words
    assert "**sure**" in words
    assert "haar" in words


def test_words_of_whoever_made_the_weights_are_inert(app, tmp_path, monkeypatch):
    hostile = "![x](http://x.y/z.png) *free*"
    write_weights_folder(
        tmp_path / "theirs",
        "test_resnet",
        config=lambda config: config["pretrained_cfg"].update(license=hostile),
    )
    monkeypatch.setattr(weights, "BUNDLED", tmp_path)
    app.switch_page("fer_demo/ui/about.py").run()
    assert f"Licence: {hostile}" in texts(app)
    assert not [m.value for m in app.markdown if "*free*" in m.value]
