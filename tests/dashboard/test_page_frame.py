"""What stands around every page: the way on, and the presentation mode."""

from __future__ import annotations

import pytest

from dashboard.server import PAGES
from dashboard.text import general as wording


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.slow
def test_a_page_can_be_presented_and_the_link_keeps_it(page, open_page):
    app = open_page(page)
    (present,) = [button for button in app.sidebar.button if button.label == wording.PRESENT]
    present.click().run()
    assert app.query_params["present"] == "1"
    (leave,) = [button for button in app.button if button.label == wording.LEAVE_PRESENTATION]
    leave.click().run()
    assert "present" not in app.query_params
    again = open_page(page, present="1")
    assert wording.LEAVE_PRESENTATION in [button.label for button in again.button]


def test_every_page_but_those_with_ways_on_of_their_own_has_a_next_step():
    assert set(wording.NEXT_STEPS) == set(PAGES) - {"home", "story"}
    assert {to for to, _ in wording.NEXT_STEPS.values()} < set(PAGES)
