"""The Gradients page's pictures: one sentence, one network at one moment of its training, and what its gradient does.

| module               | its one job                                                                               |
|----------------------|-------------------------------------------------------------------------------------------|
| sentence_analysis    | what the pictures are of: every number of `rnn_core.diagnostics`, computed once, when asked |
| choices              | the row above the pictures: sentence, loss, moment, layer                                   |
| view_state           | what one visitor looks at: which loss, absolute or relative, at which moment                |
| refresh              | which moment is shown, and how often a live page may look for a newer one                   |
| captions             | numbers -> the one sentence that says what is on the screen                                 |
| figures              | how a picture is shown: heading, caption, chart, equation, files                            |
| arrives, allowed, lost, units, cost | the five steps of the argument; `clipping` is the last one's largest picture  |
| verdict, cures       | what the numbers come to, and what to train instead                                         |
"""
