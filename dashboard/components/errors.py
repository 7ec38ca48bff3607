"""What the page says of what went wrong: our own headline, and an explanation that may quote a user's text."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import streamlit as st

from dashboard.state import session
from dashboard.text import general as wording
from rnn_core.errors import UserError


def problem(headline: str, explanation: UserError | str) -> None:
    """What went wrong: our `headline`, and under it the explanation, which may quote a user's text."""
    st.error(headline, icon=":material/error:")
    if str(explanation):
        st.text(str(explanation))


@contextmanager
def action(refused: str) -> Iterator[None]:
    """What a click asks for, after which the page is drawn anew; or our headline `refused`, and why it cannot be."""
    try:
        yield
    except UserError as error:
        problem(refused, error)
    else:
        st.rerun()


def error_boundary(draw: Callable[..., None]) -> Callable[..., None]:
    """`draw`, with an explanation in place of what it could not draw: of what is damaged, or of a mistake of ours."""

    @wraps(draw)
    def drawn(*arguments: Any, **options: Any) -> None:
        try:
            draw(*arguments, **options)
        except UserError as error:
            problem(wording.NOT_SHOWN, error)
        except Exception as error:
            internal_error(error)

    return drawn


def internal_error(error: Exception) -> None:
    """A mistake of ours. The traceback goes to the server's log; on one's own machine it is shown too."""
    number = secrets.token_hex(3)
    logging.getLogger(__name__).error("internal_error %s", number, exc_info=error)
    st.error(f"{wording.INTERNAL_ERROR} (internal_error {number})", icon=":material/error:")
    if not session.is_hosted():
        st.exception(error)
