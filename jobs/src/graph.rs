//! The graph of models: order, levels, cycles.
