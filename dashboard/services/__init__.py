"""What the pages ask for: runs, texts, networks, training processes. No Streamlit: it works without a page.

| module                                         | job                                                              |
|------------------------------------------------|------------------------------------------------------------------|
| library                                        | the runs there are, and what this visitor may do with one        |
| trainings                                      | makes runs and starts them: alone, as a race, a fork, for longer |
| worker, processes                              | starts trainings, which outlive the page, and collects the ended |
| history                                        | the outline of a run's history, grown by what is new             |
| network, measurements                          | a run's network at a moment; numbers that need its text          |
| sources, held_out, references                  | texts; what a network is judged on; what guessing would lose     |
| comparing, run_curves, differences             | runs side by side: their curves, how they are read, differences  |
| evaluation, unit_analysis                      | what Evaluate and Units show, each number computed once          |
| home_network, train_home_network, run_sentence | the unrolled network: Home's, its training, a run's              |
| story, demo, racing                            | what a story, the demo and a race train                          |
| sweeps, experimenting                          | sweeps and experiments that a page begins                        |
| python_snippets                                | what a page shows, as lines of Python                            |
"""
