//! Errors of a model's SQL, told at their place in the model's file.
