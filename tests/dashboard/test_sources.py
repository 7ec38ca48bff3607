"""Where a text can come from."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from dashboard.services import held_out, sources
from rnn_core.config import TextSettings
from rnn_core.errors import CorpusError
from rnn_core.runs import Run
from tests.waiting import HANG_SECONDS, wait_for

TEXT = "\n".join(
    f"the {animal} saw a {thing} and the {thing} ran"
    for animal in ("cat", "dog", "owl", "fox")
    for thing in ("mouse", "ball", "leaf")
)


def test_every_kind_of_source_that_needs_no_internet_gives_a_corpus():
    for source in (
        sources.Upload("animals.txt", TEXT.encode()),
        sources.Paste(TEXT),
        sources.Agreement(gap=4, count=100),
        sources.PythonReference(),
    ):
        corpus = sources.prepare(source, TextSettings(sentences="lines"))
        assert corpus.train
        assert corpus.valid
        assert corpus.name == source.name


class ScriptStopped(BaseException):
    """As Streamlit stops a script: not an Exception, so nothing catches it by the way."""


def test_a_reading_that_its_page_stops_ends_at_once_and_leaves_nothing_behind():
    source = sources.Paste(TEXT * 400)
    told = []

    def stop(share: float, doing: str) -> None:
        told.append(share)
        if share > 0.2:
            raise ScriptStopped

    with pytest.raises(ScriptStopped):
        sources.prepare(source, TextSettings(), stop)
    assert max(told) < 0.6
    again: list[float] = []
    sources.prepare(source, TextSettings(), lambda share, doing: again.append(share))
    assert again[-1] == 1.0


def test_a_text_is_read_once_for_vocabularies_of_any_size():
    source = sources.Paste(TEXT + "\nonce")
    first = sources.prepare(source, TextSettings(sentences="lines"))
    told: list[float] = []
    other = sources.prepare(
        source, TextSettings(sentences="lines", vocabulary_size=6), lambda share, doing: told.append(share)
    )
    assert not told
    assert other.vocabulary.words == first.vocabulary.words[:6]


def test_the_last_four_texts_stay_and_older_ones_are_forgotten():
    for number in range(6):
        sources.prepare(sources.Paste(f"{TEXT}\nonce {number}"), TextSettings(sentences="lines"))
    assert [source.content[-1] for source, _ in sources._kept if isinstance(source, sources.Paste)] == list("2345")


def test_a_hosted_server_gives_a_text_a_limited_time_and_says_so(monkeypatch):
    monkeypatch.setenv("SEE_BPTT_HOSTED", "reading_seconds=0.001")
    for source in (sources.Paste(TEXT * 50), sources.Upload("a.txt", (TEXT * 50).encode())):
        with pytest.raises(CorpusError, match="longer than the 0.001 seconds"):
            sources.prepare(source, TextSettings())


def test_one_text_is_read_at_a_time_and_the_same_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reading: list[str] = []
    begun, go_on = threading.Event(), threading.Event()
    read = sources._read

    def slow(source: sources.Source, *rest: object) -> object:
        reading.append(source.name)
        begun.set()
        assert go_on.wait(HANG_SECONDS)
        return read(source, *rest)

    monkeypatch.setattr(sources, "_read", slow)
    monkeypatch.setattr(sources, "WAITING_SECONDS", 0.01)
    one, other = (sources.Paste(TEXT * times, f"text {times}") for times in (2, 3))
    waiting: list[str] = []
    with ThreadPoolExecutor() as threads:
        first = threads.submit(sources.prepare, one, TextSettings())
        assert begun.wait(HANG_SECONDS)
        others = [
            threads.submit(sources.prepare, source, TextSettings(), lambda _, doing: waiting.append(doing))
            for source in (one, other)
        ]
        wait_for(lambda: len(waiting) > 1)
        assert reading == [one.name]
        go_on.set()
        assert first.result(HANG_SECONDS) is not None
        assert all(found.result(HANG_SECONDS).train for found in others)
    assert sorted(reading) == [one.name, other.name]


def test_who_waits_for_a_turn_can_leave() -> None:
    def leave(share: float, doing: str) -> None:
        raise ScriptStopped

    with sources._reading_lock, pytest.raises(ScriptStopped):
        sources.prepare(sources.Paste(TEXT * 5), TextSettings(), leave)
    assert not sources._reading_lock.locked()


def test_a_text_to_judge_is_read_in_turn_too_stops_with_its_page_and_is_read_once(trained_run: Run) -> None:
    def leave(share: float, doing: str) -> None:
        raise ScriptStopped

    text = sources.Paste(TEXT * 400)
    with sources._reading_lock, pytest.raises(ScriptStopped):
        held_out.read(trained_run, text, leave)
    with pytest.raises(ScriptStopped):
        held_out.read(trained_run, text, leave)
    assert not sources._reading_lock.locked()
    found = held_out.read(trained_run, text)
    assert held_out.read(trained_run, text, leave) is found


def test_a_text_to_judge_has_a_limit_in_time_and_few_stay_read(
    trained_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        held_out.read(trained_run, sources.Paste(TEXT + str(number)))
    assert len(held_out._kept) == 4
    monkeypatch.setenv("SEE_BPTT_HOSTED", "reading_seconds=0.001")
    with pytest.raises(CorpusError, match="longer than the 0.001 seconds"):
        held_out.read(trained_run, sources.Paste(TEXT * 50))
