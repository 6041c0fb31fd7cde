"""Publish a weights folder as a Hub repository that timm and the app load as it stands.

    python -m training.publish --weights fer_demo/weights/NAME --repo owner/name \
        [--private] [--dry-run] [--evaluation JSON]

One commit: config.json, model.safetensors, manifest.json, evaluation.json and a model card. The
token is HF_TOKEN's, or that of `hf auth login`. --dry-run writes the same files to runs/publish/.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
from huggingface_hub.utils import validate_repo_id

from fer_demo.errors import FerDemoError
from fer_demo.settings import DEFAULT_HUB_REPOS
from fer_demo.verify import FILES, Refused, verify
from training.command import add_weights, parser_of, told
from training.model_card import model_card

DRY_RUNS = Path("runs/publish")


class PublishError(FerDemoError):
    """Why nothing was published, in one sentence."""


def repository_files(weights: Path, repo: str, evaluation: Path) -> dict[str, bytes]:
    """The repository's files by name.

    Args:
        weights: a weights folder; its name must be that of its results in the evaluation.
        repo: "owner/name".
        evaluation: what `training.evaluate --json` wrote of these very weights.

    Raises:
        PublishError: the weights fail a check, or the evaluation is missing or of other weights.
    """
    name = weights.resolve().name
    try:
        sha256 = verify(weights, name, "bundled").sha256
    except Refused as error:
        raise PublishError(f"{weights} was not published: {error}.") from None
    document = _read_evaluation(evaluation)
    if name not in document["results"]:
        raise PublishError(f"{evaluation} holds no results of {name}. Run training.evaluate on it.")
    if document["weights"].get(name) != sha256:  # by content: a clone makes all times new
        raise PublishError(
            f"{evaluation} was measured on other weights than those in {weights}. "
            "Run training.evaluate again."
        )
    config = json.loads((weights / "config.json").read_bytes())
    try:
        card = model_card(name, repo, config, document)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise PublishError(f"{evaluation} lacks figures of {name} ({error!r}).") from None
    files = {file: (weights / file).read_bytes() for file in FILES}
    return {**files, "evaluation.json": evaluation.read_bytes(), "README.md": card.encode()}


def _read_evaluation(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except OSError:
        raise PublishError(f"{path} is missing. Write it with training.evaluate --json.") from None
    except ValueError:
        raise PublishError(f"{path} is not JSON.") from None
    if not isinstance(document, dict) or not all(
        isinstance(document.get(part), dict) for part in ("results", "weights")
    ):
        raise PublishError(f"{path} was not written by training.evaluate.")
    return document


def upload(repo: str, files: dict[str, bytes], *, private: bool, message: str) -> str:
    """Create the repository where there is none, and commit the files; returns the commit's id.

    Raises:
        PublishError: the Hub refused, or --private was given for a public repository.
    """
    api = HfApi()
    try:
        api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not api.repo_info(repo).private:
            raise PublishError(f"{repo} exists and is public. Make it private on its page first.")
        operations = [CommitOperationAdd(name, data) for name, data in files.items()]
        commit = api.create_commit(repo, operations, commit_message=message)
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise PublishError(
                f"The Hub refused to write to {repo} (status {status}). "
                "Set HF_TOKEN to a token that may."
            ) from None
        raise PublishError(f"The Hub did not take {repo} (status {status}).") from None
    except HTTPError as error:
        raise PublishError(f"The Hub could not be reached ({type(error).__name__}).") from None
    return str(commit.oid)


def default_line(repo: str, commit: str) -> str:
    """The line of fer_demo/settings.py that makes the app take this commit's weights."""
    others = [name for name in DEFAULT_HUB_REPOS if name.partition("@")[0] != repo]
    names = "".join(f'"{name}", ' for name in (*others, f"{repo}@{commit}"))
    return f"DEFAULT_HUB_REPOS: tuple[str, ...] = ({names.rstrip()})"


@told
def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = parser_of("publish", __doc__)
    add_weights(parser)
    parser.add_argument("--repo", required=True, metavar="OWNER/NAME")
    parser.add_argument("--private", action="store_true", help="of a new repository")
    parser.add_argument("--dry-run", action="store_true", help=f"write to {DRY_RUNS}/ instead")
    parser.add_argument(
        "--evaluation", type=Path, metavar="JSON", help="evaluation.json in the folder by default"
    )
    given = parser.parse_args(arguments)
    _check_repo(given.repo)
    evaluation = given.evaluation or given.weights / "evaluation.json"
    files = repository_files(given.weights, given.repo, evaluation)
    if given.dry_run:
        target = DRY_RUNS / given.repo.replace("/", "--")
        target.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (target / name).write_bytes(data)
        print(f"{target} holds what would be published as {given.repo}.")
        return
    message = f"Publish {given.weights.resolve().name}"
    commit = upload(given.repo, files, private=given.private, message=message)
    print(f"Published {given.repo}@{commit}. To make it the app's, put into fer_demo/settings.py:")
    print(default_line(given.repo, commit))


def _check_repo(repo: str) -> None:
    try:
        validate_repo_id(repo)
    except HFValidationError:
        repo = ""
    if "/" not in repo:
        raise PublishError("--repo takes owner/name.")


if __name__ == "__main__":
    sys.exit(main())
