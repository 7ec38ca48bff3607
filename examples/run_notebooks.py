"""Runs the notebooks beside this file anew and keeps what they show, the charts as pictures: GitHub draws those.

pip install nbclient ipykernel vl-convert-python
python examples/run_notebooks.py [NAME…]
"""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
AS_PICTURES = "import altair; altair.renderers.enable('png')"


def main() -> None:
    """Those that are named, or all."""
    for path in [HERE / name for name in sys.argv[1:]] or sorted(HERE.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        installing = next(place for place, cell in enumerate(notebook.cells) if cell.cell_type == "code")
        notebook.cells.insert(installing + 1, nbformat.v4.new_code_cell(AS_PICTURES))
        with tempfile.TemporaryDirectory() as runs:
            os.environ["SEE_BPTT_RUNS"] = runs  # what the Monitor records is nobody's here
            NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(HERE)}}).execute()
        del notebook.cells[installing + 1]
        notebook.cells[installing].outputs = []
        for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
            cell.execution_count = count
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = count
        for cell in notebook.cells:
            cell.metadata = {}  # when each cell was run
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
