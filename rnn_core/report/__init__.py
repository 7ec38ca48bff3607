"""A run as one file to hand on: settings, curves, gradients, verdict, what it writes, and how to repeat it."""

from rnn_core.report.document import report_html, write_report

__all__ = ["report_html", "write_report"]
