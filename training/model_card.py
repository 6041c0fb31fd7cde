"""The README.md of a Hub repository, from a weights folder's configuration and its evaluation."""

from __future__ import annotations

from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from fer_demo.types import SHOWN_PROTOCOL

Json = dict[str, Any]

DATA_SETS = {
    "fer2013": ("FER2013", "FER2013's seven classes and labels", "fer2013"),
    "ferplus8": (
        "FER+, 8 classes",
        "FER+, eight classes, strict majority without single votes",
        "ferplus",
    ),
    "ferplus7": (
        "FER+, 7 classes",
        "FER+, most votes, pictures of seven expressions",
        "ferplus",
    ),
}
"""By protocol: the data set's name, the protocol in words, the data set's type."""

CONFUSIONS = 5


def _ece(document: Json) -> str:
    """Which calibration error is honest: the temperatures were fitted on PublicTest, so there it is
    that of others, cross-fitted; anywhere else it is that of the weights as they are."""
    return "ece_calibrated" if document["split"] == "public_test" else "ece"


def model_card(name: str, repo: str, config: Json, document: Json) -> str:
    """The model card with its metadata.

    Args:
        name: of the weights folder, and of its results in the document.
        repo: "owner/name".
        config: config.json.
        document: what `training.evaluate --json` wrote.
    """
    results = document["results"][name]
    sections = [
        _opening(name, config),
        _loading(repo, config),
        _USE,
        _DATA + _origin(config),
        _results(document, results),
        _calibration(config, results),
        _failures(results),
        _recipe(config),
    ]
    metadata = _metadata(name, config, document, results).to_yaml()
    return f"---\n{metadata}\n---\n\n" + "\n".join(sections)


def _metadata(name: str, config: Json, document: Json, results: Json) -> ModelCardData:
    split = document["split"]
    measured = [
        EvalResult(
            task_type="image-classification",
            task_name="Facial expression recognition",
            dataset_type=DATA_SETS[head][2],
            dataset_name=f"{DATA_SETS[head][1]} ({split})",
            dataset_split=split,
            dataset_config=head,  # results of one type and split would be merged without
            metric_type=metric,
            metric_name=title,
            metric_value=round(float(figures[key]), 5),
        )
        for head, figures in results.items()
        if head in DATA_SETS
        for metric, title, key in (
            ("accuracy", "Accuracy", "accuracy"),
            ("f1", "Macro F1", "macro_f1"),
            ("expected_calibration_error", "Expected calibration error", _ece(document)),
        )
    ]
    return ModelCardData(
        model_name=name,
        license="other",
        license_name="research-use",
        library_name="timm",
        pipeline_tag="image-classification",
        datasets=["fer2013", "ferplus"],
        metrics=["accuracy", "f1"],
        tags=["timm", "image-classification", "facial-expression-recognition"],
        eval_results=measured,
    )


def _opening(name: str, config: Json) -> str:
    side = config["pretrained_cfg"]["input_size"][-1]
    calibrated = (
        "Temperatures are folded\ninto the weights: a softmax over logits 7-13 is calibrated."
        if "calibration" in config["fer_demo"]
        else "It was not calibrated."
    )
    return f"""# {name}: facial expressions

A plain timm `{config["architecture"]}` for one grey face crop of {side} x {side} pixels. It labels
the *expression* in a picture; it does not know what anyone feels. Its 15 logits are two heads of
one linear layer: FER2013's seven classes (0-6), then FER+'s eight (7-14). {calibrated}
"""


def _loading(repo: str, config: Json) -> str:
    pretrained = config["pretrained_cfg"]
    side, mean, std = pretrained["input_size"][-1], pretrained["mean"][0], pretrained["std"][0]
    return f"""## How to load it

```python
import timm, torch

network = timm.create_model("hf-hub:{repo}", pretrained=True).eval()
grey = torch.zeros(1, 1, 48, 48)  # a face in FER2013's framing, grey levels in [0, 1]
x = torch.nn.functional.interpolate(grey, size=({side}, {side}), mode="bilinear")
logits = network((x - {mean}) / {std})[0]
probabilities = logits[7:14].softmax(0)  # FER+ over the seven basic expressions
labels = network.pretrained_cfg["label_names"][7:14]
```

A folder that holds these files loads with `timm.create_model("local-dir:PATH", pretrained=True)`.
The weights are safetensors; `manifest.json` holds the sha256 of each file.
"""


_USE = """## Intended use

Demonstrations, teaching and research on facial expressions in pictures of people who agreed to it,
with the confidence shown beside the label, and "uncertain" where it is low.

## Out of scope

- Inferring emotions, intentions, health or character: expression is not feeling. A scowl often
  means something other than anger, and expressions vary across cultures, situations and people
  ([Barrett et al. 2019](https://doi.org/10.1177/1529100619832930)).
- Employees, applicants or students, and decisions about people. Regulation (EU) 2024/1689 (AI Act),
  Article 5(1)(f), prohibits inferring emotions in the areas of workplace and education, except for
  medical or safety reasons. Article 50(3) requires that people who are exposed are informed.
- Surveillance, and people who did not agree.
"""

_DATA = """## Training data and terms

FER2013's training split (28,709 grey pictures of 48 x 48 pixels, from web searches), with its own
labels and the votes of FER+'s ten annotators. FER2013 is for research use and is not included;
mirrors disagree about its licence. FER+ labels: MIT, Microsoft. Treat these weights as research
use. About a twelfth of PublicTest is in the training split too; figures are therefore given with
and without these pictures where both were measured.
"""


def _results(document: Json, results: Json) -> str:
    rows = [
        f"Measured on {document['split']} ({document['n']:,} pictures"
        + (", averaged with the mirrored crop" if document["tta"] else "")
        + "). ± is one standard error; the calibration error (ECE) is "
        + (
            "after a temperature that was fitted on other folds of these pictures."
            if _ece(document) == "ece_calibrated"
            else "that of the weights as they are."
        ),
        *(["", document["caution"]] if document.get("caution") else []),
        "",
        "| protocol | pictures | accuracy | macro F1 | NLL | ECE |",
        "|---|---|---|---|---|---|",
    ]
    for head, figures in results.items():
        title = DATA_SETS[head][1] if head in DATA_SETS else head
        for part, r in ((title, figures), (f"{title}, not in training", figures.get("unseen"))):
            if r is not None:
                rows.append(
                    f"| {part} | {r['n']:,} "
                    f"| {100 * r['accuracy']:.2f} ± {100 * r['standard_error']:.2f} % "
                    f"| {100 * r['macro_f1']:.2f} % | {r['nll']:.3f} "
                    f"| {100 * r[_ece(document)]:.2f} % |"
                )
    shown = _shown(results)
    rows += [
        "",
        f"{DATA_SETS[SHOWN_PROTOCOL][1]}, by class:" if SHOWN_PROTOCOL in results else "By class:",
        "",
    ]
    rows += ["| expression | pictures | precision | recall | F1 |", "|---|---|---|---|---|"]
    for label, r in shown["per_class"].items():
        figures = " | ".join(f"{100 * r[key]:.1f} %" for key in ("precision", "recall", "f1"))
        rows.append(f"| {label} | {r['n']:,} | {figures} |")
    return "## Results\n\n" + "\n".join(rows) + "\n"


def _calibration(config: Json, results: Json) -> str:
    ours = config["fer_demo"]
    # Of the weights as they are it would be too low: their temperatures were fitted on all of it.
    held_out = ours.get("calibration", {}).get(SHOWN_PROTOCOL)
    shown = held_out or _shown(results)
    way = f", cross-fitted on {held_out['n']:,} pictures" if held_out else ""
    temperatures = ", ".join(f"{head} {value:.3f}" for head, value in ours["temperature"].items())
    interval = shown.get("ece_interval")
    expected = (
        f" A calibrated network with these confidences would measure between "
        f"{100 * interval[0]:.2f} and {100 * interval[-1]:.2f} %."
        if interval
        else ""
    )
    return f"""## Calibration

Temperatures, folded into the last layer: {temperatures}. Expected calibration error of the head
that the app shows{way}: {100 * shown["ece"]:.2f} %.{expected} Below a confidence of
{100 * ours["uncertain_below"]:.3g} % the app answers "uncertain".
"""


def _failures(results: Json) -> str:
    shown = _shown(results)
    names = list(shown["per_class"])
    pairs = [
        (count / max(1, sum(row)), names[i], names[j])
        for i, row in enumerate(shown["confusion"])
        for j, count in enumerate(row)
        if i != j and count
    ]
    lines = [
        f"- {100 * share:.0f} % of the pictures labelled {true} are called {called}."
        for share, true, called in sorted(pairs, reverse=True)[:CONFUSIONS]
    ]
    return (
        "## Known failures\n\n"
        + "\n".join(lines)
        + """
- Small, dark, blurred and turned faces, drawings and masks: an answer may mean nothing.
- Disgust is rare in the training data: 436 of 28,709 pictures.
- Accuracy by age, sex and skin colour was not measured: FER2013 does not tell them.
"""
    )


def _origin(config: Json) -> str:
    """What else than the data went into the weights: other networks, by name and sha256."""
    recipe = config["fer_demo"].get("recipe", {})
    sentences = []
    if teachers := recipe.get("teachers"):
        named = ", ".join(f"`{name}`" for name in teachers)
        sentences.append(
            f"It learned from the answers of other networks as well (name, sha256): {named}."
        )
    if began_from := recipe.get("began_from"):
        sentences.append(f"Its training began with other weights (name, sha256): `{began_from}`.")
    if parts := recipe.get("mean_of"):
        named = ", ".join(f"`{name}`" for name in parts)
        sentences.append(f"It is the mean of other weights (name, sha256): {named}.")
    return "".join(f"\n{sentence}\n" for sentence in sentences)


def _recipe(config: Json) -> str:
    settings = config["fer_demo"].get("recipe", {})
    lines = [f"| {key} | {value} |" for key, value in settings.items()]
    return "\n".join(["## Training", "", "| setting | value |", "|---|---|", *lines, ""])


def _shown(results: Json) -> Json:
    """Results of the head that the app shows, or of the last protocol there is."""
    found: Json = results.get(SHOWN_PROTOCOL) or list(results.values())[-1]
    return found
