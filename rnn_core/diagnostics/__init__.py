"""What the gradient does on its way back through time: pure functions from a network and a text to numbers.

Every number comes from the walks that train (`bptt.lag_steps` is also what truncated training runs; the Jacobians are
the cells' own `step_back`), carried out in float64. Nothing here draws.

| module      | question                                                                                 |
|-------------|------------------------------------------------------------------------------------------|
| flow        | where does each loss's gradient go? (delta_{t,k}, G_j, half-life)                          |
| horizon     | how far back does it reach, beside what the weights promise and what they allow?           |
| by_lag      | what does each lag pay into dE/dW, and what does truncation leave out?                     |
| paths       | which part of a step's loss is W's, which phi's? the carry's, the hidden path's?           |
| saturation  | on which part of their curves do the units work?                                           |
| jacobian    | what does one step do?                                                                     |
| spectrum    | what do W, a sentence and an endless text do? (eigenvalues, singular values, Lyapunov)     |
| by_sentence | which sentence made the gradient jump?                                                     |
| attribution | which earlier word mattered, and does the gradient tell the truth about it?                |
| agreement   | does the network know who the sentence is about?                                           |
| carriers    | which unit carries the number of the subject, and what happens without it?                 |
| held_out    | where in a sentence, and by which words, is it surprised?                                  |
| html        | what a notebook shows of each result                                                     |
| effective_context | how far back does it use what it has read?                                           |
| reach       | does it use more than its gradient reaches, or less?                                       |
| text_features | what can a unit follow in a text?                                                        |
| text_walk   | what does every unit show along a whole text?                                              |
| units       | which units follow what?                                                                   |
| ablation    | what does the network lose without one of them?                                            |
"""

from rnn_core.diagnostics.ablation import AblationCost, ablation_cost, without_unit
from rnn_core.diagnostics.agreement import Agreement, agreement_accuracy
from rnn_core.diagnostics.attribution import (
    WhichWordsMattered,
    influence,
    predicted_changes,
    true_changes,
    which_words_mattered,
)
from rnn_core.diagnostics.by_lag import GradientByLag, gradient_by_lag
from rnn_core.diagnostics.by_sentence import GradientBySentence, gradient_by_sentence, sentence_lag_norms
from rnn_core.diagnostics.carriers import Carriers, Question, agreement_question, carriers, number_question
from rnn_core.diagnostics.effective_context import EffectiveContext, effective_context
from rnn_core.diagnostics.flow import (
    GradientFlow,
    LagGradients,
    gradient_flow,
    half_life,
    in_double,
    median_by_lag,
    relative_decay,
)
from rnn_core.diagnostics.held_out import LossByPosition, WordSurprise, loss_by_position, sentence_losses, word_surprise
from rnn_core.diagnostics.horizon import (
    Horizon,
    RowDecay,
    data_bounds,
    fixed_step_bound,
    horizon,
    horizon_of_flow,
    horizon_of_trace,
    row_decay,
    spectral_radius,
    step_factors,
    triangle,
)
from rnn_core.diagnostics.jacobian import (
    delta_step_norms,
    gradient_step_norms,
    state_jacobian,
    state_jacobians,
    step_norms,
)
from rnn_core.diagnostics.lyapunov import Lyapunov, autonomous_trace, lyapunov_exponents, text_trace
from rnn_core.diagnostics.paths import TwoPaths, WhereLost, path_contributions, two_paths, where_lost
from rnn_core.diagnostics.product_spectrum import ProductSpectrum, product_singular_values
from rnn_core.diagnostics.reach import Reach, reach
from rnn_core.diagnostics.saturation import (
    HISTOGRAM_EDGES,
    ActivationCurve,
    SignalStatistics,
    activation_curve,
    saturated_shares,
    saturation,
    signals,
)
from rnn_core.diagnostics.spectrum import BlockSpectrum, recurrent_spectrum
from rnn_core.diagnostics.text_features import FEATURES, Feature, ends, features_of, read_tokens, varies
from rnn_core.diagnostics.text_walk import Unit, signal_names, text_losses, unit_series, units_of
from rnn_core.diagnostics.units import Ranking, rank_units, strongest_places
from rnn_core.diagnostics.verdict import Verdict, verdict
from rnn_core.nn.cells import Signal

__all__ = [
    "FEATURES",
    "HISTOGRAM_EDGES",
    "AblationCost",
    "ActivationCurve",
    "Agreement",
    "WhereLost",
    "BlockSpectrum",
    "Carriers",
    "GradientBySentence",
    "EffectiveContext",
    "Feature",
    "GradientFlow",
    "Horizon",
    "LagGradients",
    "GradientByLag",
    "LossByPosition",
    "Lyapunov",
    "ProductSpectrum",
    "Question",
    "Ranking",
    "Reach",
    "RowDecay",
    "Signal",
    "SignalStatistics",
    "TwoPaths",
    "Unit",
    "Verdict",
    "WordSurprise",
    "WhichWordsMattered",
    "ablation_cost",
    "activation_curve",
    "agreement_accuracy",
    "agreement_question",
    "carriers",
    "effective_context",
    "loss_by_position",
    "sentence_losses",
    "word_surprise",
    "autonomous_trace",
    "where_lost",
    "gradient_by_sentence",
    "data_bounds",
    "delta_step_norms",
    "ends",
    "features_of",
    "fixed_step_bound",
    "gradient_flow",
    "gradient_step_norms",
    "half_life",
    "horizon",
    "horizon_of_flow",
    "horizon_of_trace",
    "in_double",
    "influence",
    "gradient_by_lag",
    "lyapunov_exponents",
    "median_by_lag",
    "number_question",
    "path_contributions",
    "predicted_changes",
    "product_singular_values",
    "rank_units",
    "reach",
    "read_tokens",
    "recurrent_spectrum",
    "relative_decay",
    "row_decay",
    "saturated_shares",
    "saturation",
    "sentence_lag_norms",
    "signal_names",
    "signals",
    "spectral_radius",
    "state_jacobian",
    "state_jacobians",
    "step_factors",
    "step_norms",
    "strongest_places",
    "text_losses",
    "text_trace",
    "triangle",
    "true_changes",
    "two_paths",
    "unit_series",
    "units_of",
    "varies",
    "verdict",
    "which_words_mattered",
    "without_unit",
]
