//! A job on the screen: [`view`] turns events into lines, [`live`] draws the moving part, [`screen`] prints both
//! on the [`terminal`], [`follow`] reads the stream and comes back when it breaks.

pub(crate) mod follow;
pub(crate) mod live;
pub(crate) mod screen;
pub(crate) mod summary;
pub(crate) mod terminal;
pub(crate) mod view;
