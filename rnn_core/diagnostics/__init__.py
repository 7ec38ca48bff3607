"""What the gradient does on its way back through time: pure functions from a network and a text to numbers.

Every number comes from the walks that train (`bptt.rounds` is also what truncated training runs, the Jacobians are the
cells' own `step_back`), carried out in float64. Nothing here draws.

| module      | question                                                                 |
|-------------|--------------------------------------------------------------------------|
| flow        | where does each loss's gradient go? (delta_{t,k}, G_j, half-life)          |
| horizon     | how far back does it reach, beside what the weights promise and allow?     |
| ledger      | what does each lag pay into dE/dW, and what does truncation leave out?     |
| jacobian    | what does one step do to it?                                               |
"""

from rnn_core.diagnostics.flow import (
    GradientFlow,
    LagGradients,
    gradient_flow,
    half_life,
    in_double,
    median_by_lag,
    relative_decay,
)
from rnn_core.diagnostics.horizon import (
    Horizon,
    RowDecay,
    data_bounds,
    fixed_step_bound,
    horizon,
    horizon_of_flow,
    row_decay,
    spectral_radius,
    triangle,
)
from rnn_core.diagnostics.jacobian import delta_step_norms, state_jacobian, state_jacobians, step_norms
from rnn_core.diagnostics.ledger import LagLedger, TruncationMeter, lag_ledger, truncation_meter

__all__ = [
    "GradientFlow",
    "Horizon",
    "LagGradients",
    "LagLedger",
    "RowDecay",
    "TruncationMeter",
    "data_bounds",
    "delta_step_norms",
    "fixed_step_bound",
    "gradient_flow",
    "half_life",
    "horizon",
    "horizon_of_flow",
    "in_double",
    "lag_ledger",
    "median_by_lag",
    "relative_decay",
    "row_decay",
    "spectral_radius",
    "state_jacobian",
    "state_jacobians",
    "step_norms",
    "triangle",
    "truncation_meter",
]
