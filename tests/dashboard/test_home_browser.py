"""A first-time visitor's path, and the unrolled network under pointer and keyboard, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from dashboard.services import home_network
from dashboard.services.home_network import Levers
from tests.dashboard.conftest import Server
from tests.waiting import wait_for

pytestmark = pytest.mark.browser

WORDS = home_network.split(home_network.SENTENCE)


@pytest.fixture
def visitor(page: Page, server: Server) -> Page:
    """A browser at the app's first page, with the picture drawn."""
    page.goto(server.address)
    expect(first_look(page)).to_have_count(0)
    expect(reading(page)).to_contain_text("It vanishes.")
    return page


def first_look(visitor: Page) -> Locator:
    """What the first HTML shows until Streamlit's page stands."""
    return visitor.locator("#first-look")


def reading(visitor: Page) -> Locator:
    """The sentence under the picture."""
    return visitor.get_by_role("status").filter(has_text=re.compile("gradient of|the loss of", re.IGNORECASE))


def word(visitor: Page, name: str) -> Locator:
    return visitor.get_by_role("radio", name=f"Loss of {name}", exact=True)


def number_at(visitor: Page, place: int) -> str:
    return visitor.locator("g.word").nth(place).locator(".number").first.text_content() or ""


def parsed(figure: str) -> float:
    """ "7·10⁻⁴" -> 7e-4."""
    plain = figure.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")).replace(",", "")
    return float(re.sub(r"^(?:(.+)·)?10(?=-)", lambda found: f"{found[1] or 1}e", plain))


def figure_of(levers: Levers, asked: int, place: int) -> float:
    norms = home_network.read(levers, WORDS).norms
    return float(norms[asked, place] / norms[asked, asked])


def test_it_vanishes_explodes_and_is_cured_in_three_clicks_and_without_a_word_of_typing(visitor):
    visitor.get_by_role("button", name="Vanishing", exact=True).click()
    expect(reading(visitor)).to_contain_text("It vanishes.")
    visitor.get_by_role("button", name="Explosion", exact=True).click()
    expect(reading(visitor)).to_contain_text("It explodes.")
    expect(reading(visitor)).to_contain_text("Before: 0.0065.")
    visitor.get_by_role("radio", name="LSTM", exact=True).click()
    expect(reading(visitor)).to_contain_text("It arrives.")


def test_the_picture_follows_the_pointer_and_its_numbers_are_those_of_the_network(visitor):
    for asked in (4, 11, 9):
        word(visitor, [*WORDS, "</s>"][asked]).hover()
        expect(reading(visitor)).to_contain_text(f"gradient of “{[*WORDS, '</s>'][asked]}”")
        for place in range(1, asked):
            assert parsed(number_at(visitor, place)) == pytest.approx(figure_of(Levers(), asked, place), rel=0.06)
        assert number_at(visitor, asked) == "1"
        assert number_at(visitor, asked + 1) == ""


def test_the_loss_of_a_word_is_shown_where_the_word_before_it_is_read(visitor):
    word(visitor, "went").hover()
    expect(visitor.locator("g.word.asked")).to_contain_text("went")
    expect(visitor.locator("g.word.read")).to_contain_text("head")
    expect(visitor.get_by_text("“head” is read")).to_be_attached()


def test_the_keyboard_moves_the_chosen_word_and_the_link_keeps_it(visitor, server):
    word(visitor, "went").focus()
    visitor.keyboard.press("ArrowLeft")
    expect(word(visitor, "head")).to_have_attribute("aria-checked", "true")
    expect(word(visitor, "head")).to_be_focused()
    visitor.keyboard.press("Home")
    expect(word(visitor, "The")).to_be_focused()
    visitor.keyboard.press("End")
    expect(word(visitor, "</s>")).to_have_attribute("aria-checked", "true")
    expect(visitor).to_have_url(re.compile(r"[?&]word=11"))
    visitor.reload()
    expect(word(visitor, "</s>")).to_have_attribute("aria-checked", "true")


def test_the_picture_lives_before_the_page_stands_and_goes_on_in_its_place(page, server):
    held = []
    page.route("**/static/js/index.*.js", lambda request: held.append(request))
    page.goto(server.address, wait_until="commit")
    word(page, "on").hover()
    expect(reading(page)).to_contain_text("gradient of “on”")
    word(page, "his").click()
    place = word(page, "his").bounding_box()
    assert page.locator("#root > *").count() == 0
    for request in held:
        request.continue_()
    expect(first_look(page)).to_have_count(0)
    expect(reading(page)).to_contain_text("gradient of “his”")
    expect(page).to_have_url(re.compile(r"[?&]word=7"))

    def stands_where_it_was() -> bool:
        box = word(page, "his").bounding_box()  # none while it is just being drawn again
        return box is not None and box == pytest.approx(place, abs=1)

    wait_for(stands_where_it_was, "the picture in its place")


def test_what_truncation_discards_is_drawn_as_discarded(visitor, server):
    levers = Levers(size=1.0, reach="4")
    visitor.goto(f"{server.address}/?see={levers.to_link()}")
    expect(reading(visitor)).to_contain_text("It is cut off.")
    assert visitor.locator("path.arc.cut").count() == home_network.ASKED - 4
    expect(visitor.get_by_text("K = 4", exact=False).first).to_be_attached()


def test_a_sentence_of_ones_own_is_text_and_nothing_else(visitor):
    field = visitor.get_by_label("Sentence", exact=True)
    field.fill("<img src=x onerror=alert(1)> **bold** words")
    field.press("Enter")
    expect(word(visitor, "words")).to_be_attached()
    assert visitor.locator("g.word img, svg img, .reading img").count() == 0
    expect(word(visitor, "bold")).to_be_attached()


def test_the_picture_is_whole_on_a_phone(visitor):
    visitor.set_viewport_size({"width": 400, "height": 800})
    word(visitor, "went").click()
    expect(word(visitor, "went")).to_be_in_viewport()
    wide = visitor.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth - innerWidth")
    assert wide <= 0


def test_a_link_to_a_page_begins_without_a_request_that_fails(page, server):
    failed: list[str] = []
    page.on("response", lambda answer: answer.status >= 400 and failed.append(answer.url))
    page.goto(f"{server.address}/story")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("link", name="Race").first.click()
    expect(page.get_by_role("heading", name="Race", level=1)).to_be_visible()
    assert not failed
