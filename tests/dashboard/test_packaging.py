"""What a new user copies from the README must work, and the two lists of requirements must not drift apart."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import streamlit.config

ROOT = Path(__file__).parents[2]


def test_the_hosted_service_installs_the_ranges_that_the_package_declares():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {*project["dependencies"], *project["optional-dependencies"]["dashboard"]}
    lines = [line.strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    listed = {line for line in lines if line and not line.startswith(("#", "-e"))}
    assert listed == declared
    assert "-e ." in lines


def test_each_command_of_the_readme_makes_its_own_environment():
    readme = (ROOT / "README.md").read_text()
    commands = [line for line in readme.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert any("streamlit run dashboard/app.py" in command for command in commands)
    assert any("pytest" in command for command in commands)
    for command in commands:
        assert "-r requirements.txt" in command


def test_the_files_that_the_readme_shows_are_there():
    readme = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", readme):
        assert (ROOT / target).exists(), target


def test_streamlit_knows_every_setting_of_the_configuration_file():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())

    def names(table: dict, prefix: str = "") -> set[str]:
        found = set()
        for key, value in table.items():
            found |= names(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}"}
        return found

    known = set(streamlit.config.get_config_options())
    assert names(settings) <= known


def test_the_server_keeps_its_guards_up():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["enableXsrfProtection"] is True
    assert settings["server"]["enableCORS"] is True
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["client"]["showErrorDetails"] == "none"
    assert settings["client"]["disableDataExport"] is True  # its CSV keeps formulas
    assert settings["runner"]["magicEnabled"] is False  # what stands alone on a line would be read as Markdown
    assert settings["logger"]["enableRich"] is False  # or forged messages cost a second of a core each
    assert settings["server"]["maxUploadSize"] <= 50
