//! A job on the screen: [`view`] turns events into lines, [`live`] draws the moving part, [`screen`] prints both
//! on the [`terminal`], [`follow`] reads the stream and comes back when it breaks.

pub mod follow;
pub mod live;
pub mod screen;
pub mod summary;
pub mod terminal;
pub mod view;
