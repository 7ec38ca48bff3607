"""What a visitor has chosen: session, links, and the history of the run on the page."""
