"""What the pages ask for: runs, texts, networks, training processes. No Streamlit: it works without a page.

| module                           | job                                                                            |
|----------------------------------|--------------------------------------------------------------------------------|
| library                          | the runs there are, and what this visitor may do with one                      |
| worker, processes                | starts trainings, which outlive the page, and waits for the ones that ended    |
| history                          | the outline of a run's history, grown by what is new                           |
| network, measurements            | a run's network at a moment; numbers for which its text has to be read         |
| sources, held_out, references    | where a text comes from; what a network is judged on; what guessing would lose |
| comparing, outlines, differences | runs side by side: their curves, what is read for them, what tells them apart  |
| evaluation, unit_analysis        | what the Evaluate and the Units page show, each number computed once           |
| opening, train_opening, arriving | the unrolled network: on Home, its trained weights, and of a run               |
| story, demo, racing              | what a story, the demo and a race train                                        |
| sweeps, experimenting            | sweeps and experiments that a page begins                                      |
| python_snippets                  | what a page shows, as lines of Python                                          |
"""
