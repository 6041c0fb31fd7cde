"""The Photo page in-process, as a person works it and reads it."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from fer_demo.ui import gallery as gallery_module


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    app.file_uploader[0].set_value([(name, data, "image/png") for name, data in files]).run()
    return app


def click(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    return app


def headings(app: AppTest) -> list[str]:
    """What the cards say of their faces, in order."""
    return [m.value.removeprefix("##### ") for m in app.markdown if m.value.startswith("##### ")]


def texts(app: AppTest) -> str:
    return "\n".join(text.value for text in app.text)


def alts(app: AppTest) -> list[str]:
    return [picture.alt for image in app.get("image") for picture in image.proto.imgs]


def captions(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.caption)


def pictures(app: AppTest) -> gallery_module.Gallery:
    return app.session_state["gallery"]
