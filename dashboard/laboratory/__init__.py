"""The gradient laboratory: one sentence, one network at one moment of its training, and pictures of its gradient.

| module   | job                                                                                         |
|----------|---------------------------------------------------------------------------------------------|
| subject  | what the pictures are of; every number of `rnn_core.diagnostics` computed once, when asked for |
| pace     | which moment is shown, and how often a live page may look for a newer one                    |
| readings | numbers -> the one sentence that says what is on the screen                                  |
| frames   | how a picture is hung: its reading aid, chart, equation, and its numbers to take home        |
| vanish, cause, cost | the three groups of pictures                                                        |
"""
