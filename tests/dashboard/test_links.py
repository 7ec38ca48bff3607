"""Everything that is set on a page is in its link: whoever opens that elsewhere finds the page as it was left.

Every widget of every page is changed here, by its kind; a page that is added, or a widget, is held to it from the
start. What is left out stands below, with the reason.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.services import sources
from dashboard.state import link, session
from dashboard.text import corpus as wording
from rnn_core.runs import Run
from tests.dashboard.conftest import APP
from tests.waiting import HANG_SECONDS

VIEWS = sorted(path.stem for path in (Path(session.__file__).parents[1] / "views").glob("*.py") if path.stem[0] != "_")
KINDS = (
    *("selectbox", "multiselect", "radio", "segmented_control", "pills", "slider", "select_slider"),
    *("toggle", "checkbox", "number_input", "text_input", "text_area"),
)

NOT_IN_LINK = {
    r".*fork": "a form that is sent off: what is set there makes another run",
    r".*steering": "a dial of a training, which records what it is told",
    r"train: more of": "a form that is sent off",
    r"by hand: preset": "sets the weights below it, which are in the link",
    r"compare: tag": "chooses the runs, which are in the link",
    r"evaluate: pasted|units: pasted": "a text of the visitor's own",
    r"runs: (entry|activation)": "a form that is sent off with files",
}
"""Keys of widgets, as a pattern of their beginning: why they are not held to it."""

KEEP = object()
CHOSEN: dict[str, Any] = {
    "home: cell": "relu",
    "home: size": 1.5,
    "home: start": "identity",
    "home: reach": "4",
    "home: trained": KEEP,  # takes the size and the first W out of one's hands; `Levers.to_link` has a test of its own
    "story: chapter": "distance",
    "corpus: source": KEEP,  # another one has other fields: those pages are opened by a link below
    "corpus: unit": "char",
    "corpus: count": 500,
    "corpus: vocabulary_size": 970,
    "link: learn": KEEP,
    "gradients: moment": 0,
    "gradients: look of 3": "Ends and steps",
    "link: replaced": "unknown",
    "evaluate: text kind": KEEP,
    "units: text kind": KEEP,
    "link: colour": "trigram",
    "link: experiment": KEEP,
    "compare: runs": KEEP,
    "sweep: names": ["hidden_size", "batch_size"],
    "race: networks": ["gru", "lstm"],
    "race: gap": (3, 12),
    "race: hidden": 16,
    "race: steps": 300,
    "link: on": KEEP,
}
"""What is chosen in a widget whose options the page shows in other words than it holds."""

PAGES = {
    "home": {},
    "story": {},
    "by_hand": {},
    "corpus": {"corpus": "agreement"},
    "corpus of words": {"corpus": "python"},
    "train": {"corpus": "agreement"},
    "train on a task": {"learn": "task"},
    "train, a run": {"run": "RUN"},
    "gradients": {"run": "RUN"},
    "generate": {"run": "RUN", "beside": "temperature"},
    "evaluate": {"run": "RUN"},
    "evaluate what is pasted": {"run": "RUN", "text": "paste"},
    "units": {"run": "RUN"},
    "compare": {"runs": "RUN"},
    "runs": {},
    "sweep": {"corpus": "agreement"},
    "sweep over a task": {"learn": "task"},
    "race": {},
    "race on a text": {"on": "text", "corpus": "agreement", "text_gap": "7"},
    "race on a task": {"on": "task"},
    "experiments": {},
}
"""Every page, by the first word, and links that show more of its widgets."""


def test_every_page_is_held_to_it() -> None:
    assert {re.split("[ ,]", page)[0] for page in PAGES} == set(VIEWS)


def opened(view: str, says: dict[str, str]) -> AppTest:
    """A page by its link. (`open_page` opens Home by it first, which takes what it knows of it for itself.)"""
    app = AppTest.from_file(str(APP), default_timeout=HANG_SECONDS)
    name = re.split("[ ,]", view)[0]
    if name != "home":
        app.run().switch_page(f"views/{name}.py")
    app.query_params.clear()
    for parameter, value in says.items():
        app.query_params[parameter] = value
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def fields(app: AppTest) -> dict[str, Any]:
    """The widgets that are held to it, by their keys."""
    found = {widget.key or widget.label: widget for kind in KINDS for widget in app.get(kind)}
    return {key: one for key, one in found.items() if not any(re.match(pattern, key) for pattern in NOT_IN_LINK)}


def values(app: AppTest) -> dict[str, Any]:
    return {key: field.value for key, field in fields(app).items()}


def near(value: Any) -> Any:
    """A link leaves out what arithmetic left in the last digits."""
    return pytest.approx(value) if isinstance(value, float) else value


def says(app: AppTest) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[-1] for name, value in app.query_params.items()}


def change(key: str, field: Any) -> None:
    """Set it to something else."""
    if key in CHOSEN:
        if CHOSEN[key] is not KEEP:
            field.set_value(CHOSEN[key])
    elif field.type in ("toggle", "checkbox"):
        field.set_value(not field.value)
    elif field.type == "number_input":
        field.set_value((field.value or 0) + field.step)
    elif field.type in ("text_input", "text_area"):
        field.set_value(f"{field.value or ''} two")
    elif field.type == "slider":
        field.set_value(field.value + field.step if field.value + field.step <= field.max else field.min)
    elif field.type == "selectbox":
        field.select_index(((field.index or 0) + 1) % len(field.options))
    else:
        pytest.fail(f"say in CHOSEN what {field.type} {key!r} is to be set to")


@pytest.mark.slow
@pytest.mark.parametrize("view", PAGES)
def test_a_page_that_is_opened_by_its_link_shows_what_was_set_on_it(view: str, trained_run: Run) -> None:
    app = opened(view, {name: value.replace("RUN", trained_run.id) for name, value in PAGES[view].items()})
    before = values(app)
    for key, field in fields(app).items():
        change(key, field)
    app.run()
    assert not app.exception
    after = values(app)
    unchanged = {key for key, value in after.items() if key in before and value == before[key]}
    assert unchanged <= {key for key in CHOSEN if CHOSEN[key] is KEEP}
    assert values(opened(view, says(app))) == {key: near(value) for key, value in after.items()}


TEXT = "\n".join(f"the quick brown fox met {animal} by the river ." for animal in ("otters", "herons", "voles") * 9)


@pytest.mark.parametrize("number", [0.1, 0.1234567, 1_234_567, 2**53, -3, 0.1 + 0.2, 1e-7])
def test_a_number_comes_back_from_its_link_as_it_was(number: float) -> None:
    assert link.parse_number(link.short(number)) == pytest.approx(number, rel=1e-11, abs=0)
    assert link.short(0.1 + 0.2) == "0.3"


def test_of_a_visitors_own_text_the_link_says_nothing_and_the_page_says_so(open_page) -> None:
    app = open_page("corpus", corpus="paste")
    app.text_area[0].set_value(TEXT).run()
    assert says(app) == {"corpus": "paste"}
    app.switch_page("views/train.py").run()
    assert says(app) == {}
    assert wording.NOT_IN_LINK in [caption.value for caption in app.caption]


@pytest.mark.parametrize(
    "forged",
    [
        {"corpus": "upload"},
        {"corpus": "/etc/passwd"},
        {"corpus": "agreement", "text_gap": "41", "text_count": "10000000"},
        {"corpus": "python", "text_unit": "<img src=x>", "text_vocabulary_size": "-4", "text_column": "x"},
        {"corpus": "nltk", "text_nltk": "../words"},
    ],
)
@pytest.mark.parametrize("view", ["corpus", "train"])
def test_a_forged_text_of_a_link_counts_as_nothing_and_fetches_nothing(view, forged, open_page, monkeypatch) -> None:
    monkeypatch.setattr(sources, "nltk_corpus", lambda key: pytest.fail("a look at a page went to the network"))
    app = open_page(view, **forged)
    assert not app.exception
    if session._CORPUS in app.session_state:
        chosen = app.session_state[session._CORPUS]
        assert chosen.source in (sources.Agreement(5, 4000), sources.PythonReference())
        assert chosen.settings.column is None


def test_a_corpus_of_nltk_that_a_link_names_is_fetched_by_a_click_alone(open_page, monkeypatch) -> None:
    monkeypatch.setattr(sources, "nltk_corpus", lambda key: [f"{key} . {TEXT}"])
    app = open_page("train", corpus="nltk", text_nltk="brown")
    assert session._CORPUS not in app.session_state
    next(button for button in app.button if button.label == "Get it").click().run()
    assert app.session_state[session._CORPUS].source == sources.Nltk("brown")
    assert says(app) == {"corpus": "nltk", "text_nltk": "brown"}
